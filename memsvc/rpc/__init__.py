"""The gRPC edge: messages to the model and back, one thin servicer per service, errors to statuses, listeners."""

from memsvc.rpc.deferring import defer_python_implementation

defer_python_implementation()
