"""An endpoint of OpenAI's kind: how it is reached, and what its failures mean. Engine and embedder both ask one."""
