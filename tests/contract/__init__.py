"""Runs clients/contract against every client there is."""
