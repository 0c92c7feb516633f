"""Real database servers for the tests, each started in folders and on ports of its own; nothing has to be set up."""
