import pytest

from pellucid.errors import ConfigurationError
from pellucid.select import executors


def test_executors_are_known_by_name():
    assert {type(executors.get(name)) for name in executors.EXECUTORS} == set(executors.EXECUTORS.values())
    assert repr(executors.get()) == "Threads()"
    assert executors.get("ray", -1).jobs is None


@pytest.mark.parametrize(
    ("name", "jobs", "message"),
    [
        ("thread", None, "executor must be one of 'threads', 'processes', 'ray', not 'thread'"),
        ("processes", 0, "n_jobs must be a whole number of at least 1, or None, not 0"),
        ("processes", 1.5, "not 1.5"),
    ],
)
def test_others_are_refused(name, jobs, message):
    with pytest.raises(ConfigurationError, match=message):
        executors.get(name, jobs)
