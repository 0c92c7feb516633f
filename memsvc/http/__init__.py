"""The operator's port: health, metrics, and the API as JSON over HTTP."""
