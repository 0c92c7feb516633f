"""The gRPC edge: messages to the model and back, one thin servicer per service, errors to statuses, listeners."""
