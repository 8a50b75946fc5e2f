"""Measurements: ours beside the peers, on the same cores, in turns. ``python -m benchmarks`` runs them all."""
