"""Tuning: searches over configurations, on Optuna, whose trials are trained as populations."""
