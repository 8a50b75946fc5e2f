import numpy as np
import pytest

from benchmarks import selection


@pytest.mark.slow
def test_both_search_the_same_configurations_on_the_same_folds(capsys):
    ours, theirs = selection.ours(2, 20).cv_results_, selection.theirs(2, 20).cv_results_
    assert [list(params.values()) for params in ours["params"]] == [
        list(params.values()) for params in theirs["params"]
    ]
    splits = [key for key in theirs if key.startswith("split")]
    assert splits == [key for key in ours if key.startswith("split") and key.endswith("test_score")]
    assert np.allclose(ours["mean_test_score"], theirs["mean_test_score"], atol=0.25)
    assert selection.main(2, 2, 1) > 0
    assert "20 fits of a 4-16-3 net on iris" in capsys.readouterr().out
