"""What memsvc costs and how fast it is, measured against what it stands on: `make bench`."""
