"""The same calls sent to several servers at the same time, and their replies made comparable."""
