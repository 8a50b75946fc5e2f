import re

import pytest
from tests.analysis.diagnosis.runs import diagnosed, digits, network, plain

from pellucid.analysis import diagnose
from pellucid.analysis.diagnosis import DETECTORS
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense
from pellucid.optim import SGD, Adam


@pytest.fixture(scope="module")
def sick():
    """A diagnosis with two errors and a warning."""
    x, y = digits().train
    return diagnosed(plain(optimizer=Adam(1.0)), x, y, test_data=(x[:10], y[:10]))


def test_the_gravest_findings_come_first(sick):
    assert [finding.severity for finding in sick] == sorted(
        (finding.severity for finding in sick), key=("error", "warning", "advice").index
    )
    assert set(sick.names) == {"leakage", "dead_relu", "learning_rate_too_high"}
    assert (len(sick), sick[0].name in sick, "symmetry" in sick) == (3, True, False)


def test_the_text_has_evidence_change_and_code_of_each_finding(sick):
    text = str(sick)
    for finding in sick:
        assert f"{finding.severity.upper()}: {finding.title}" in text
        assert finding.code.splitlines()[0] in text
        assert finding.evidence.split(":")[0].split(",")[0] in text
    assert "Looked for" in text
    assert "Not looked for" in text
    assert repr(sick).startswith("Diagnosis(")


def test_everything_was_looked_for_or_has_a_reason_why_not(sick):
    assert set(sick.checked) | set(sick.skipped) == set(DETECTORS)
    assert all(sick.skipped.values())


def test_nothing_found_is_said():
    found = diagnosed(plain(), *digits().train)
    assert str(found).startswith("Nothing is wrong as far as one can see.")
    assert repr(found) == "Diagnosis(nothing found)"


def test_a_finding_that_is_not_there_is_told_from_one_that_does_not_exist(sick):
    with pytest.raises(ConfigurationError, match="it was looked for, and is not there"):
        sick["wrong_output"]
    with pytest.raises(ConfigurationError, match=r"Unknown finding 'dead_rely'.*(?s:.*)did you mean 'dead_relu'"):
        sick["dead_rely"]
    skipped, why = next(iter(sick.skipped.items()))
    with pytest.raises(ConfigurationError, match=re.escape(f"has no finding {skipped!r}: {why}.")):
        sick[skipped]


def test_only_what_is_asked_for_is_looked_for():
    model = network(Dense(32, "relu"), Dense(10, "softmax"), optimizer=SGD(20.0))
    assert diagnose(model, *digits().train, only=["symmetry", "leakage"]).checked == ("symmetry",)
    with pytest.raises(ConfigurationError, match="did you mean 'symmetry'"):
        diagnose(model, *digits().train, only=["symetry"])
