"""Summaries of sessions: rolling, from the last one and what is new."""
