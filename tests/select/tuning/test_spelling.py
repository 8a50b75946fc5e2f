import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import ConfigurationError
from pellucid.select.tuning.space import Space
from pellucid.select.tuning.spelling import parse_space, spoken_space

D = optuna.distributions


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        ("units=16,32,64", D.CategoricalDistribution((16, 32, 64))),
        ("units=16", D.CategoricalDistribution((16,))),
        ("units=8:512:log", D.IntDistribution(8, 512, log=True)),
        ("units_2=16:64:16", D.IntDistribution(16, 64, step=16)),
        ("layers=1:3", D.IntDistribution(1, 3)),
        ("batch-size=16,32", D.CategoricalDistribution((16, 32))),
        ("learning_rate=1e-3:1:log", D.FloatDistribution(1e-3, 1.0, log=True)),
        ("learning_rate=1,2", D.CategoricalDistribution((1.0, 2.0))),
        ("dropout=0:0.5:0.1", D.FloatDistribution(0, 0.5, step=0.1)),
        ("l2=0:0.01", D.FloatDistribution(0, 0.01)),
        ("optimizer=adam, sgd", D.CategoricalDistribution(("adam", "sgd"))),
        ("activation=relu,tanh", D.CategoricalDistribution(("relu", "tanh"))),
    ],
)
def test_what_is_written_is_what_is_searched(text, distribution):
    (found,) = Space(parse_space([text])).distributions.values()
    assert found == distribution


@given(st.floats(1e-6, 0.9), st.floats(1e-6, 0.9))
def test_bounds_are_read_as_they_are_printed(a, b):
    if a == b:
        return
    low, high = sorted((a, b))
    assert parse_space([f"dropout={low!r}:{high!r}"]) == {"dropout": (low, high, "linear")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("units", "--space 'units' is none of name=value,value and name=low:high and name=low:high:log."),
        ("units=", "is none of name=value,value"),
        ("units=1:2:3:4", "is none of name=value,value"),
        ("units=4:", "is none of name=value,value"),
        ("units=4:8:lag", "is none of name=value,value"),
        ("optimizer=adam:sgd", "is none of name=value,value"),
        ("unitz=4", "did you mean 'units'?"),
        ("units_x=4", "Unknown parameter of --space 'units_x'"),
        ("units=4.5,8", "--space: units must be a whole number of at least 1, not 4.5."),
        ("units=0:8", "--space: units must be a whole number of at least 1, not 0."),
        ("units=many", "--space: units must be a whole number of at least 1, not 'many'."),
        ("learning_rate=-1:1", "--space: learning_rate must be a finite number above 0, not -1."),
        ("learning_rate=nan", "--space: learning_rate must be a finite number above 0, not nan."),
        ("dropout=0:1", "--space: dropout must be a number in [0, 1), not 1."),
        ("dropout=0.5:0.1", "the lower bound 0.5 is not below the upper bound 0.1."),
        ("dropout=0:0.5:log", "a logarithmic scale begins above 0."),
        ("dropout=0:0.2:0.5", "the step 0.5 leads beyond the upper bound 0.2."),
        ("units=4:8:1.5", "--space: the step of units must be a whole number of at least 1, not 1.5."),
        ("optimizer=adm", "did you mean 'adam'?"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(text, message):
    with pytest.raises(ConfigurationError) as error:
        parse_space([text])
    assert message in str(error.value)


def test_a_name_is_given_once():
    with pytest.raises(ConfigurationError, match="--space names 'batch_size' twice"):
        parse_space(["batch_size=8", "batch-size=16"])


def test_a_space_is_printed_as_it_is_meant():
    text = spoken_space(parse_space(["learning_rate=1e-4:0.1:log", "dropout=0:0.5:0.1", "units=8:24:8", "l2=0,0.001"]))
    assert [line.split(None, 1) for line in text.splitlines()] == [
        ["learning_rate", "0.0001 to 0.1 (log)"],
        ["dropout", "0 to 0.5 in steps of 0.1"],
        ["units", "8 to 24 in steps of 8"],
        ["l2", "0, 0.001"],
    ]
