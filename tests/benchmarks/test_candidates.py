from benchmarks.candidates import choose, libraries


def names(candidates):
    return [candidate.name for candidate in candidates]


def test_an_absent_peer_is_left_out_and_named():
    there, missing = choose(None, present=lambda module: module not in {"torch", "onnx"})
    assert missing == ["torch", "onnxruntime"]
    assert names(there) == ["ours", "ours, predict", "peak", "jax", "keras", "sklearn"]


def test_only_the_peers_that_are_wanted():
    there, missing = choose(["jax"], present=lambda module: True)
    assert (names(there), missing) == (["ours", "ours, predict", "peak", "jax"], [])


def test_without_any_peer_ours_is_measured_alone():
    there, missing = choose(None, present=lambda module: False)
    assert names(there) == ["ours", "ours, predict", "peak"]
    assert missing == list(libraries())
