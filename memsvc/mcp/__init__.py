"""memsvc for hosts that speak the Model Context Protocol: a process of its own, beside the host or shared by many.

It is a client of memsvc and holds nothing itself. A **face** is what a host sees (tools, resources, prompts): that of
memsvc, in `memory/`, or that of the knowledge graph of `@modelcontextprotocol/server-memory`, in `graph/`. `serving`
brings a face to hosts, over stdio or streamable HTTP. Whose memory it is say flags or the token of a request, in
`whose`; no argument of a model does.

The official SDK takes most of a second to import: no other part of memsvc may import this one but `memsvc mcp`.
"""
