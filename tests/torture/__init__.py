"""Proof that nothing is lost: a server is killed at random, again and again, while clients write and learn.

`python -m tests.torture --rounds 100` prints what was acknowledged and what of it was lost, doubled or unfinished.
"""
