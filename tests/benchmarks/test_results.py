import pytest
from benchmarks.results import Figure, Row
from benchmarks.work import JAX, PYTORCH, Limit, Ratio


def row(targets=(), unit="us", **medians):
    figures = {name.replace("_", " "): Figure((value,)) for name, value in medians.items()}
    return Row("training", "work", unit, figures, targets=targets)


def test_a_figure_is_the_median_over_rounds():
    assert Figure((5.0, 1.0, 2.0)).median == 2.0
    assert Figure((1.0, 2.0)).median == 1.5


def test_the_ratio_takes_the_best_of_the_candidates_it_names():
    measured = row(ours=10.0, torch_eager=40.0, torch_compile=30.0, jax=5.0)
    assert measured.ratio(PYTORCH) == 3.0
    assert measured.ratio(JAX) == 0.5


@pytest.mark.parametrize("figures", [{"ours": 1.0}, {"jax": 1.0}, {}])
def test_without_one_of_the_two_there_is_no_ratio_and_no_verdict(figures):
    measured = row((Ratio(JAX, "JAX", 2),), **figures)
    assert measured.ratio(JAX) is None
    assert measured.verdicts()[0].word == "not measured"


@pytest.mark.parametrize(("bound", "word"), [(1.9, "reached"), (2.0, "reached"), (2.1, "missed")])
def test_a_ratio_is_reached_at_its_bound(bound, word):
    (verdict,) = row((Ratio(JAX, "JAX", bound),), ours=10.0, jax=20.0).verdicts()
    assert (verdict.word, verdict.measured, verdict.title) == (word, 2.0, "against JAX")


@pytest.mark.parametrize(("seconds", "word"), [(0.4, "reached"), (0.6, "missed")])
def test_a_limit_is_on_our_own_figure(seconds, word):
    (verdict,) = row((Limit(0.5),), "s", ours=seconds, jax=0.1).verdicts()
    assert (verdict.word, verdict.title) == (word, "under 0.5 s")


def test_a_record_holds_every_round():
    record = row((Ratio(JAX, "JAX", 3),), ours=10.0, jax=20.0).as_record()
    assert record["figures"]["ours"]["rounds"] == [10.0]
    assert record["targets"] == [{"title": "against JAX", "measured": 2.0, "bound": 3, "reached": False}]
