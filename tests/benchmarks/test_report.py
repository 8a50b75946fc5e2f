import dataclasses
import json

import pytest
from benchmarks.machine import Machine
from benchmarks.results import Figure, Row
from benchmarks.work import JAX, PYTORCH, Ratio

from benchmarks import report

MACHINE = Machine("Test processor", 2, 512, 8.0, "Linux", "3.11", {"torch": "2.13.0"}, {}, 0.0)
TARGETS = (Ratio(PYTORCH, "PyTorch", 2), Ratio(JAX, "JAX", 4))


def training():
    figures = {"ours": Figure((10.0,)), "torch eager": Figure((25.0,)), "jax": Figure((30.0,))}
    return Row("training", "net, batch 8", "us", figures, {"keras": "Traceback\nValueError: no"}, TARGETS)


def kernel():
    figures = {"ours": Figure((20.0,)), "peak": Figure((18.0,))}
    return Row("kernels", "matmul", "us", figures, targets=(Ratio(("peak",), "FMA peak", 0.85),), flops=4e6)


def session(*rows, **changes):
    kept = {"machine": MACHINE, "date": "2030-01-01", "rounds": 7, "scope": "", "missing": [], "rows": rows}
    return report.Session(**{**kept, **changes})


def test_a_table_has_a_rule_below_its_header():
    assert report.table(["name", "us"], [["a", "1"]]) == "| name | us |\n| --- | ---: |\n| a | 1 |"


@pytest.mark.parametrize(
    ("value", "text"), [(1234.5, "1,234"), (99.96, "100.0"), (12.345, "12.3"), (1.234, "1.23"), (0.0123, "0.012")]
)
def test_quantities_have_about_three_digits(value, text):
    assert report.quantity(value) == text


def test_the_training_table_shows_medians_ratios_targets_and_verdicts():
    page = report.markdown(session(training()))
    assert "| network | Pellucid | PyTorch eager | JAX | PyTorch / ours | JAX / ours | targets |" in page
    assert "| net, batch 8 | 10.0 | 25.0 | 30.0 | 2.50 (target 2) | 3.00 (target 4) | reached, missed |" in page


def test_the_page_says_what_is_reached_and_what_is_not():
    page = report.markdown(session(training()))
    assert "**Reached: 1 of 2.**\n\n- net, batch 8, against PyTorch: 2.50 of 2\n" in page
    assert "**Not reached: 1 of 2.**\n\n- net, batch 8, against JAX: 3.00 of 4\n" in page
    assert "- net, batch 8, keras: `ValueError: no`" in page


def test_bare_products_are_rates_and_shares_of_the_peak():
    page = report.markdown(session(kernel()))
    assert "| product | Pellucid | FMA peak | share, Pellucid | 85 % |" in page
    assert "| matmul | 200 | 222 | 90% | reached |" in page


def test_a_partial_run_and_absent_peers_are_named():
    page = report.markdown(session(training(), scope="peers: jax", missing=["keras"]))
    assert "**Not the whole suite:** peers: jax." in page
    assert "Not installed, so left out: keras." in page


def test_rows_whose_cores_were_far_from_each_other_are_named():
    near, far = (
        dataclasses.replace(training(), name=name, apart=apart)
        for name, apart in (("one", (120.0, 130.0)), ("other", (125.0, 560.0)))
    )
    page = report.markdown(session(near, far, training()))
    assert "back in 120 to 560 ns" in page
    assert "before or after their turns: other." in page
    assert "after their turns: no row." in report.markdown(session(near))
    assert "cache line" not in report.markdown(session(training()))


def test_others_at_work_are_named():
    busy = Figure((10.0,), others=0.4)
    page = report.markdown(session(Row("training", "net", "us", {"ours": busy})))
    assert "**Others were using the machine**" in page
    assert "net (40% of the cores)" in page
    assert "**Others" not in report.markdown(session(training()))


def test_the_json_file_holds_everything(tmp_path):
    path = tmp_path / "new" / "results.json"
    report.write_json(session(training()), path)
    record = json.loads(path.read_text())
    assert record["machine"]["processor"] == "Test processor"
    assert record["rows"][0]["figures"]["jax"]["median"] == 30.0


def test_a_line_for_the_terminal():
    assert report.line(training()) == (
        "net, batch 8: ours 10.0  torch eager 25.0  jax 30.0 us  [2.50 of 2: reached]  [3.00 of 4: missed]"
        "  failed: keras"
    )
