"""Journals in Postgres."""
