"""Journals in SQLite."""
