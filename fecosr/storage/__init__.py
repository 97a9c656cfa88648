"""Durable state: append-only lines (ledger, checkpoints), content-addressed models, markers in SQLite.

A coordinator may keep its part in PostgreSQL instead (`postgres`); `archive` is what both have in common.

Each store is used by one process (a lock file sees to that) and one call at a time, from whichever thread.
Every method that changes something returns after it is on the disk.
"""
