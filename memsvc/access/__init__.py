"""Who may do what: who calls (tokens, JWTs, certificates, sockets' peers), what each RPC needs, how much one may take.

    caller = gate.identify(Credentials(authorization="Bearer memsvc_..."))      # before the request is read
    namespace = authorize(caller, need_of("MemoryService", "GetMemory"), asked)  # once it is known whom it is about

Every edge calls these two, and nothing else decides. Nothing here knows a transport.
"""
