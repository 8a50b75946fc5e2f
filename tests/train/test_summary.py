from pellucid import Input, Model, Sequential
from pellucid.nn import Add, Dense, Dropout, Flatten


def test_the_table_of_a_sequential_model(capsys):
    model = Sequential([Input((2, 3)), Flatten(), Dense(4, name="hidden"), Dropout(0.5), Dense(1)], name="small")
    text = model.summary(show=False)
    assert capsys.readouterr().out == ""
    assert model.summary() is None
    assert capsys.readouterr().out == text + "\n"
    rule = "-" * 58
    assert text.splitlines() == [
        'model "small"',
        rule,
        "layer              output     parameters             count",
        rule,
        "x (Input)          [?, 2, 3]                             0",
        "flatten (Flatten)  [?, 6]                                0",
        "hidden (Dense)     [?, 4]     kernel[6, 4]  bias[4]     28",
        "dropout (Dropout)  [?, 4]                                0",
        "dense (Dense)      [?, 1]     kernel[4, 1]  bias[1]      5",
        rule,
        "parameters: 33 (132 bytes)",
    ]


def test_the_table_shows_where_inputs_come_from_and_counts_shared_layers_once(capsys):
    a, b = Input((2,), name="a"), Input((2,), name="b")
    shared = Dense(3, name="shared")
    shared.trainable = False
    model = Model([a, b], Dense(1, name="out")(Add(name="sum")(shared(a), shared(b))), name="pair")
    lines = model.summary(show=False).splitlines()
    assert capsys.readouterr().out == ""
    assert [line.split("  ")[-1].strip() for line in lines[6:10]] == ["a", "b", "shared, shared", "4"]
    assert lines[-2:] == ["parameters: 13 (52 bytes)", "trainable: 4; not trainable: 9"]


def test_large_models_are_counted_in_larger_units():
    last = Sequential([Input((100,)), Dense(100)]).summary(show=False).splitlines()[-1]
    assert last == "parameters: 10,100 (39 KiB)"
    last = Sequential([Input((2000,)), Dense(2000)]).summary(show=False).splitlines()[-1]
    assert last == "parameters: 4,002,000 (15 MiB)"
