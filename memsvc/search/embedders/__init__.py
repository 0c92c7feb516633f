"""Embedders: texts as vectors that lie near each other where the texts mean the same."""
