"""Journals in Redis."""
