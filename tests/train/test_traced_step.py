"""The traced step knows which variable is which layer's z and a, and computes what training does."""

import numpy as np

from pellucid import Input, Sequential, backends, nn
from pellucid.graph import verify
from pellucid.train.traced_step import batch_specs, trace_step


def traced(*layers, count=3):
    model = Sequential([Input((4,)), *layers])
    model.compile(loss="mse")
    targets = [np.zeros((1, 2), "float32")]
    return model, trace_step(model, batch_specs(model, targets, count, weighted=False))


def test_every_layers_variables_are_known():
    _, step = traced(nn.Dense(5, activation="tanh"), nn.Dropout(0.5), nn.Dense(2))
    assert [seen.call.label for seen in step.layers] == ["dense", "dropout", "dense_1"]
    first, dropped, last = step.layers
    assert first.z is not None
    assert first.z.record.op.name == "add"
    assert first.a.record.op.name == "tanh"
    assert dropped.a.spec.shape == (3, 5)
    assert last.z is None
    verify(step.graph)


def test_settings_are_numbers_and_parameters_inputs():
    model, step = traced(nn.Dense(5), nn.Dropout(0.25), nn.Dense(2))
    names = [v.name for v in step.graph.inputs]
    assert names[:4] == ["x", "y", "seed_key", "step"]
    assert names[step.first :] == [p.name for p in model.parameters]


def test_new_statistics_are_outputs():
    model, step = traced(nn.Dense(2), nn.BatchNorm())
    assert [p.name for p, _ in step.statistics] == ["batch_norm.moving_mean", "batch_norm.moving_variance"]
    x, y = np.ones((3, 4), "float32"), np.zeros((3, 2), "float32")
    state = [p.numpy() for p in step.parameters]
    found = backends.get("reference").compile(step.graph).run([x, y, np.zeros(2, "uint32"), np.uint32(0), *state])
    expected = model.clone().train_on_batch(x, y)["loss"]
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)
