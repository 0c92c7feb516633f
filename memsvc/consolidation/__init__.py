"""Consolidation: tidying a user's memories. What says the same becomes one, what is over becomes a fact of the past."""
