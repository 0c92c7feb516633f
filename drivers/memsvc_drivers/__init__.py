"""Drivers that ship with memsvc, one module a database; found by entry point, never imported by name."""
