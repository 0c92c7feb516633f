"""What tests, the bench and the demo need beside the service: a model endpoint that behaves as told."""
