"""The API, generated from protos/memsvc/v1 (`make gen`)."""
