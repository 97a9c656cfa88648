"""Fuzz the ledger parser: python tests/fuzz/fuzz_ledger.py -runs=100000 [CORPUS_FOLDER]."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fuzz.driver import fuzz

if __name__ == "__main__":
    fuzz("ledger")
