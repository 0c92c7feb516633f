"""memsvc in other people's pods."""
