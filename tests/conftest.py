"""Settings of the whole test suite: every graph is verified, and Hypothesis draws the same examples on every run."""

import os

from hypothesis import settings

os.environ.setdefault("PELLUCID_VERIFY", "1")

settings.register_profile("pellucid", max_examples=40, deadline=None, derandomize=True)
settings.load_profile("pellucid")
