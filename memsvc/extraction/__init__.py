"""Learning from conversations: queue, worker, engines, reconciliation."""
