"""Learning as durable work: queued, claimed, run, settled, watched."""
