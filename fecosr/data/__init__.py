"""Interactions of one market: from files, or generated, to sequences of item indices.

    settings       which data, in which format (no polars, no torch)
    readers        one file per format, each to the same table of interactions
    interactions   the one table, and the one way to read it
    families       variants of one product as one item
    markets        which markets a folder holds, and which users occur in two of them
    catalogue      the items of one market, in a fixed order
    sequences      k-core filter, chronological sequences, leave-one-out split
    batches        length-bucketed training batches
    synthetic      markets generated from a shared behaviour process, with known ground truth

Shapes: U users, V items of the catalogue, B sequences in a batch, L positions of the longest sequence in it.
An item index is 0 .. V-1 in catalogue order. Batches pad on the right with 0 and carry `lengths`.
"""
