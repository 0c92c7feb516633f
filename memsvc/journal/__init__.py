"""One journal per user: what is recorded, what it adds up to, and how it is written."""
