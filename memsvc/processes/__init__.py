"""`memsvc serve --processes N`: one process that watches over N which serve, on the same addresses and one database.

    supervisor --+-- process 1   each is a whole server, a replica like one on another machine
                 +-- process 2

An interpreter uses one core; so many cores take so many processes. Each TCP port is bound by all of them with
SO_REUSEPORT, and the kernel gives each new connection to one. A unix socket can be bound once: the supervisor binds it,
and the processes accept from it in turn. The supervisor touches no connection and no database. It holds the addresses,
starts anew what ends, and passes on what one process asks the others: what they have counted.
"""
