"""A search that works on a storage with others: ``python sharing.py STORAGE TRIALS``."""

from __future__ import annotations

import sys

from tests.select.tuning.cases import search

if __name__ == "__main__":
    search(storage=sys.argv[1], trials=int(sys.argv[2]), sampler="random", at_once=2)
