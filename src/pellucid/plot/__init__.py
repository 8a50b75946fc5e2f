"""The pictures that the lectures draw."""
