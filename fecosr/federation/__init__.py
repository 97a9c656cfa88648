"""Rounds of training as two state machines that know no network, no disk and no torch.

`run.py` tells the whole story in one function; `coordinator.py` and `node.py` are the two sides of it.
"""
