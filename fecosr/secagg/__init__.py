"""Secure aggregation: the server learns the sum of the survivors' vectors and nothing else about any of them.

`run.py` tells the protocol from beginning to end; `client.py` and `server.py` are its two state machines.
Ring elements are uint32 [length]; `length` counts all coordinates, the update's and the extra ones.

Reference: Bonawitz et al. 2017, "Practical Secure Aggregation"; Bell et al. 2020 (SecAgg+).
"""
