"""Runs clients/contract against every client there is."""

import os

# Servers are killed and connections cut here: what gRPC says of it is no news.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
