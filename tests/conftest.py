"""Settings of the whole test suite: every graph is verified, and Hypothesis draws the same examples on every run."""

import os

import pytest
from hypothesis import settings

os.environ.setdefault("PELLUCID_VERIFY", "1")

settings.register_profile("pellucid", max_examples=40, deadline=None, derandomize=True)
settings.load_profile("pellucid")


@pytest.fixture(autouse=True)
def as_many_threads_as_before():
    """What a test sets ends with it."""
    yield
    from pellucid import set_num_threads  # after the setting above

    set_num_threads(None)
