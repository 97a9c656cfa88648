"""The append-only account of a run: canonical records, a signed hash chain, and checkpoints of it.

Everything here is pure. `fecosr.storage.ledger_store` keeps a ledger on disk, `fecosr.audit` judges one.
"""
