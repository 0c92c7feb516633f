"""Journals in MongoDB."""
