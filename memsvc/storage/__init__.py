"""The port to databases: the contract, the plug-ins, the reference driver and the conformance suite."""
