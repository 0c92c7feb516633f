"""The engine that asks a model: the call, its prompt, what came back."""
