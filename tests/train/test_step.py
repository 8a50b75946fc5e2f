import numpy as np
import pytest

from pellucid import Callback, Input, Sequential, Tensor, backends, ops, set_seed
from pellucid.graph import verify
from pellucid.nn import BatchNorm, Dense, Dropout, phase
from pellucid.nn.regularizers import L2
from pellucid.optim import SGD, Adam
from pellucid.train.feed import single
from pellucid.train.running import TrainingRun

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
Y = np.array([0, 2, 1, 1, 0, 2], np.int32)


def deep(optimizer="adam"):
    set_seed(0)
    model = Sequential(
        [
            Input((4,)),
            Dense(5, activation="tanh", kernel_regularizer=L2(0.1)),
            BatchNorm(),
            Dropout(0.5),
            Dense(3, activation="softmax"),
        ]
    )
    model.compile("categorical_crossentropy", optimizer, ["accuracy"])
    return model


def segment_of(x, y):
    return single((x,), (y,), None, (x.dtype,))


def program_of(model, y=Y):
    return model.programs.training(segment_of(X[: len(y)], y))


def operations(graph):
    return [node.op.name for node in graph.nodes]


def run_step(model, seed=3):
    """The run after one step, whose numbers are not published, and the step's logs."""
    program = program_of(model)
    key = np.asarray(ops.random_key(seed))
    run = TrainingRun(program, segment_of(X, Y), model.programs.state(program), key)
    return run, run.advance(1)


def test_the_three_graphs_keep_the_rules_of_graphs():
    program = program_of(deep())
    for graph in (program.forward, program.gradient, program.step):
        verify(graph)
        assert str(graph).splitlines()[-1].startswith("  return ")
        assert len(graph.table().splitlines()) == len(graph.nodes) + 1


def test_the_graphs_of_equal_models_are_printed_alike():
    a, b = program_of(deep()), program_of(deep())
    for stage in ("forward", "gradient", "step"):
        assert str(getattr(a, stage)) == str(getattr(b, stage))


def test_inputs_and_parameters_have_their_names():
    names = [var.name for var in program_of(deep(SGD(0.1, momentum=0.9))).step.inputs]
    assert names[:3] == ["x", "y", "seed_key"]
    assert names[3:6] == ["dropout.rate", "dense.kernel.strength", "SGD.momentum"]  # they compile nothing anew
    assert names[6:8] == ["step", "learning_rate"]
    assert names[8:16] == [
        "dense.kernel",
        "dense.bias",
        "batch_norm.gamma",
        "batch_norm.beta",
        "dense_1.kernel",
        "dense_1.bias",
        "batch_norm.moving_mean",
        "batch_norm.moving_variance",
    ]
    assert names[16:] == [f"{name}.m" for name in names[8:14]]


def test_the_forward_graph_names_the_layer_of_every_node():
    layers = {node.scope for node in program_of(deep()).forward.nodes}
    assert {("dense",), ("batch_norm",), ("dropout",), ("dense_1",)} <= layers


def test_softmax_and_cross_entropy_are_recognised():
    graph = program_of(deep()).forward
    of_log = {node.inputs[0] for node in graph.nodes if node.op.name == "log"}
    producers = [node.op.name for node in graph.nodes if node.output in of_log]
    assert producers == ["sum"]  # log(sum(exp(z - max))), not log(quotient)
    names = operations(graph)
    assert "maximum" not in names


def test_sigmoid_and_cross_entropy_are_recognised():
    model = Sequential([Input((4,)), Dense(1, activation="sigmoid")])
    model.compile("binary_crossentropy")
    names = operations(program_of(model, np.ones((6, 1), np.float32)).forward)
    assert "log" not in names
    assert names.count("softplus") == 2


@pytest.mark.parametrize(("activation", "loss"), [("softmax", "categorical"), ("sigmoid", "binary")])
def test_huge_logits_give_finite_losses_and_gradients(activation, loss):
    units = 3 if loss == "categorical" else 1
    model = Sequential([Input((4,)), Dense(units, activation=activation)])
    model.compile(f"{loss}_crossentropy", SGD(0.1))
    x = 1e4 * X
    y = Y if units == 3 else Y % 2
    history = model.fit(x, y, batch_size=None, verbose=0)
    assert 1e3 < history["loss"][0] < 1e6
    assert all(np.isfinite(value).all() for value in model.get_weights().values())


def test_the_gradient_is_the_one_of_eager_back_propagation():
    model = deep(SGD(1.0))
    before = model.get_weights()
    key = ops.random_key(3)
    with phase(training=True, key=ops.fold_in(key, np.uint32(0))):
        (output,) = model.outputs_of([Tensor(X)])
        loss = ops.mean(model.objective.losses[0].call(Tensor(Y), output))
        loss = loss + 0.05 * ops.sum(ops.square(model.layers[0].kernel))
    loss.backward()
    gradients = {p.name: p.grad.numpy() for p in model.trainable_parameters}
    model.set_weights(before)  # the eager pass has moved the statistics of BatchNorm

    stepped = deep(SGD(0.1))
    run, logs = run_step(stepped)
    run.publish()
    assert logs.total[0] == pytest.approx(loss.item(), rel=1e-6)
    after = stepped.get_weights()
    for parameter in model.trainable_parameters:
        step = before[parameter.name] - after[parameter.name]
        assert np.allclose(step, 0.1 * gradients[parameter.name], rtol=1e-4, atol=1e-6), parameter.name


def test_the_gradient_graph_returns_the_logs_and_one_gradient_per_parameter():
    model = deep()
    program = program_of(model)
    shapes = [var.spec.shape for var in program.gradient.outputs[-6:]]
    assert shapes == [p.shape for p in model.trainable_parameters]
    logs = program.gradient.outputs[: len(program.forward.outputs)]
    assert [var.spec for var in logs] == [var.spec for var in program.forward.outputs]


def test_the_gradient_graph_agrees_with_differences():
    set_seed(0)
    model = Sequential([Input((4,)), Dense(3, activation="softmax")], dtype="float64")
    model.compile("categorical_crossentropy")
    x = X.astype(np.float64)
    graph = model.programs.training(segment_of(x, Y)).gradient
    run = backends.get("reference").compile(graph).run
    kernel, bias = (p.numpy() for p in model.parameters)
    rest = [x, Y, np.asarray(ops.random_key(0)), np.uint32(0)]
    found = run([*rest, kernel, bias])[-2]
    for place in np.ndindex(kernel.shape):
        step = np.zeros_like(kernel)
        step[place] = 1e-6
        up, down = (float(run([*rest, moved, bias])[0]) for moved in (kernel + step, kernel - step))
        assert found[place] == pytest.approx((up - down) / 2e-6, abs=1e-8)


def test_penalties_are_part_of_the_loss_in_training_and_evaluation():
    kernel = np.array([[1.0, -2.0]], np.float32)

    def made(trainable):
        layer = Dense(2, kernel_regularizer=L2(0.5), use_bias=False, trainable=trainable, name="d")
        model = Sequential([Input((1,)), layer])
        model.set_weights({"d.kernel": kernel})
        model.compile("mse", SGD(0.0))
        return model

    for trainable in (True, False):
        model = made(trainable)
        x, y = [[1.0], [2.0]], [[1.0, -2.0], [2.0, -4.0]]
        assert model.evaluate(x, y) == 0.25 * 5
        assert model.fit(x, y, batch_size=1, verbose=0)["loss"] == [0.25 * 5]


def test_a_penalty_shrinks_weights_by_its_gradient():
    model = Sequential([Input((1,)), Dense(1, kernel_regularizer=L2(0.5), use_bias=False, name="d")])
    model.set_weights({"d.kernel": np.array([[2.0]], np.float32)})
    model.compile("mse", SGD(0.1))
    model.train_on_batch([[0.0]], [0.0])
    assert model.get_weights()["d.kernel"].item() == pytest.approx((1 - 0.1 * 0.5) * 2)


def test_a_frozen_layer_is_an_input_without_gradient():
    model = deep()
    model.layers[0].trainable = False
    program = program_of(model)
    assert len(program.gradient.outputs) - len(program.forward.outputs) == 4
    before = model.get_weights()
    model.train_on_batch(X, Y)
    after = model.get_weights()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert not changed & {"dense.kernel", "dense.bias"}
    assert "dense_1.kernel" in changed


def test_a_frozen_batch_norm_keeps_its_statistics():
    model = deep()
    model.layers[1].trainable = False
    before = model.get_weights()
    model.train_on_batch(X, Y)
    after = model.get_weights()
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        assert np.array_equal(before[f"batch_norm.{name}"], after[f"batch_norm.{name}"])


def masks(seed, batches=3, layers=1):
    """Which of 40 units were kept in each step and layer, read off the gradient of the bias below."""
    model = Sequential([Input((1,)), Dense(40, name="d"), *(Dropout(0.5) for _ in range(layers))])
    model.set_weights({"d.kernel": np.zeros((1, 40), np.float32), "d.bias": np.zeros(40, np.float32)})
    model.compile("sse", SGD(1.0))
    found = []

    class Read(Callback):
        def on_train_batch_end(self, batch, logs=None):
            found.append(tuple(self.model.get_weights()["d.bias"] != 0))
            self.model.set_weights({"d.kernel": np.zeros((1, 40)), "d.bias": np.zeros(40)})

    model.fit(np.zeros((batches, 1)), np.ones((batches, 40)), batch_size=1, seed=seed, callbacks=Read(), verbose=0)
    return found


def test_every_step_has_a_dropout_mask_of_its_own():
    assert len(set(masks(0))) == 3
    assert masks(0) == masks(0)
    assert masks(0) != masks(1)
    assert 5 < sum(masks(0)[0]) < 35


def test_two_dropout_layers_have_different_masks():
    # One mask alone keeps half of the units; two independent ones a quarter.
    kept = np.mean(masks(0, batches=30, layers=2))
    assert kept == pytest.approx(0.25, abs=0.05)


def test_the_model_keeps_its_numbers_until_a_run_is_published():
    model = deep()
    before = model.get_weights()
    run, _ = run_step(model)
    assert all(np.array_equal(before[key], value) for key, value in model.get_weights().items())
    assert model.optimizer.iterations == 0
    run.publish()
    assert model.optimizer.iterations == 1
    assert not np.array_equal(before["dense.kernel"], model.get_weights()["dense.kernel"])


def test_the_learning_rate_is_an_input_and_compiles_nothing_anew(classifier):
    model = classifier(optimizer=Adam(0.1))
    model.train_on_batch(X, Y)
    programs = dict(model.programs.kept)
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    model.train_on_batch(X, Y)
    assert model.programs.kept == programs
    assert all(np.array_equal(before[key], value) for key, value in model.get_weights().items())
