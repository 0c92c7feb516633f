"""`python -m memsvc`."""

from memsvc.cli import main

main()
