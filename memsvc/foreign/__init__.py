"""Files of other memory systems, read as what memsvc keeps: facts, and runs of conversations.

Each kind is a module with one function that reads a file and yields what is in it, in its order, with the place where
it stands; what makes no sense is yielded too, as a `Damaged` that says why: nothing is left out in silence. `reading`
has all kinds by name, `sorting` gives each fact its layer and key, and settles which of two that contradict each other
is newer.
"""
