"""How each operation is written in NumPy: a table from its name to a writer of expressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.graph.ir import Node
from pellucid.graph.numpy_code import (
    ATOM,
    COMPARISON,
    MATMUL,
    POWER,
    PRODUCT,
    SUM,
    UNARY,
    Batches,
    Code,
    loosened,
    tightest,
)
from pellucid.shapes import Shape, broadcast, reduced


@dataclass(frozen=True)
class Twins:
    """The same node in two traces, for batches of two sizes."""

    one: Node
    two: Node
    batches: Batches
    tight: Shape | None = None

    @property
    def shape(self) -> Shape:
        """The result's shape in the first trace, or the one before stretching that is being written."""
        return self.one.output.spec.shape if self.tight is None else self.tight

    def attribute(self, name: str) -> Any:
        """An attribute that does not depend on the batch."""
        return self.one.attributes[name]

    def sizes(self, name: str) -> str:
        """An attribute that is a shape."""
        return self.batches.shape(self.one.attributes[name], self.two.attributes[name])

    def out_shape(self) -> str:
        """The result's shape as a tuple."""
        return self.batches.shape(self.shape, self.two.output.spec.shape)

    def in_shape(self, place: int) -> Shape:
        """An operand's shape in the first trace."""
        return self.one.inputs[place].spec.shape


Writer = Callable[[Twins, list[Code]], Code]


def call(name: str, *arguments: Any, shape: Shape = (), **named: Any) -> Code:
    """A call; arguments that are None are left out."""
    given = [str(a) for a in arguments] + [f"{key}={value}" for key, value in named.items() if value is not None]
    return Code(f"{name}({', '.join(given)})", shape=shape)


def _elementwise(write: Writer) -> Writer:
    """The writer of an operation whose result is stretched where all of its operands are."""

    def written(twins: Twins, operands: list[Code]) -> Code:
        code, tight = write(twins, operands), [tightest(x) for x in operands]
        shape = broadcast(*(x.shape for x in tight))
        if shape == twins.shape or len(tight) == 0:
            return code
        return replace(code, loose=write(replace(twins, tight=shape), tight))

    return written


def _is_zero(code: Code) -> bool:
    """Whether all numbers are 0, as in the first state of a recurrent layer."""
    return tightest(code).text == "0"


def _zeros(twins: Twins) -> Code:
    text = f"np.zeros({twins.out_shape()}, np.{twins.one.output.spec.dtype.name})"
    return Code(text, shape=twins.shape, loose=Code("0", weak=True)) if twins.shape else Code("0", weak=True)


def _function(name: str) -> Writer:
    return _elementwise(lambda twins, operands: call(name, *loosened(operands, twins.shape), shape=twins.shape))


def _compared(sign: str) -> Writer:
    def write(twins: Twins, operands: list[Code]) -> Code:
        x, y = loosened(operands, twins.shape)
        text = f"{x.within(SUM)} {sign} {y.within(SUM)}"
        return Code(text, COMPARISON, twins.shape, weak=x.weak and y.weak)

    return write


def _mixed(twins: Twins, operands: list[Code]) -> tuple[Code, Code]:
    """Two operands of arithmetic: unstretched, and booleans as they are where the other one is a number."""
    x, y = loosened(operands, twins.shape)
    if y.uncast and not x.uncast and not x.weak:
        return x, y.uncast
    return (x.uncast, y) if x.uncast and not y.uncast and not y.weak else (x, y)


@_elementwise
def _add(twins: Twins, operands: list[Code]) -> Code:
    for one, other in (operands, operands[::-1]):
        if _is_zero(one) and other.shape == twins.shape:
            return other
    x, y = _mixed(twins, operands)
    weak = x.weak and y.weak
    if x.text == y.text:
        return Code(f"2 * {x.within(PRODUCT)}", PRODUCT, twins.shape, weak)
    if y.negated:
        return Code(f"{x.within(SUM)} - {y.negated.within(MATMUL)}", SUM, twins.shape, weak)
    if x.negated:
        return Code(f"{y.within(SUM)} - {x.negated.within(MATMUL)}", SUM, twins.shape, weak)
    return Code(f"{x.within(SUM)} + {y.within(SUM)}", SUM, twins.shape, weak)


@_elementwise
def _sub(twins: Twins, operands: list[Code]) -> Code:
    x, y = _mixed(twins, operands)
    return Code(f"{x.within(SUM)} - {y.within(MATMUL)}", SUM, twins.shape, x.weak and y.weak)


@_elementwise
def _mul(twins: Twins, operands: list[Code]) -> Code:
    if any(map(_is_zero, operands)):
        return _zeros(twins)
    x, y = _mixed(twins, operands)
    if x.text == y.text:
        return Code(f"{x.within(ATOM)}**2", POWER, twins.shape, x.weak)
    if y.weak and not x.weak:
        x, y = y, x
    if x.ratio and not y.weak:
        above, below = x.ratio
        text = {1: y.within(PRODUCT), -1: f"-{y.within(PRODUCT)}"}.get(above, f"{above} * {y.within(PRODUCT)}")
        return Code(f"{text} / {below}", PRODUCT, twins.shape)
    right = y.within(PRODUCT if x.weak else UNARY)
    return Code(f"{x.within(PRODUCT)} * {right}", PRODUCT, twins.shape, x.weak and y.weak)


@_elementwise
def _div(twins: Twins, operands: list[Code]) -> Code:
    x, y = loosened(operands, twins.shape)
    return Code(f"{x.within(PRODUCT)} / {y.within(UNARY)}", PRODUCT, twins.shape, x.weak and y.weak)


@_elementwise
def _pow(twins: Twins, operands: list[Code]) -> Code:
    x, y = loosened(operands, twins.shape)
    return Code(f"{x.within(ATOM)}**{y.within(UNARY)}", POWER, twins.shape, x.weak and y.weak)


@_elementwise
def _neg(twins: Twins, operands: list[Code]) -> Code:
    (x,) = operands
    return Code(f"-{x.within(UNARY)}", UNARY, twins.shape, x.weak, negated=x)


def _sqrt(twins: Twins, operands: list[Code]) -> Code:
    (x,) = operands
    return Code(f"{x.within(ATOM)} ** 0.5", POWER, weak=True) if x.weak else call("np.sqrt", x, shape=twins.shape)


def _matmul(twins: Twins, operands: list[Code]) -> Code:
    x, y = operands
    if _is_zero(x) or _is_zero(y):
        return _zeros(twins)
    return Code(f"{x.within(UNARY)} @ {y.within(UNARY)}", MATMUL, twins.shape)


def _where(twins: Twins, operands: list[Code]) -> Code:
    condition, x, y = loosened(operands, twins.shape)
    if y.text == "0" and x.shape == twins.shape and twins.one.output.spec.dtype.kind == "f":
        return Code(f"{x.within(PRODUCT)} * {condition.within(UNARY)}", PRODUCT, twins.shape)
    return call("np.where", condition, x, y, shape=twins.shape)


def _cast(twins: Twins, operands: list[Code]) -> Code:
    (x,) = operands
    if x.weak:
        return x
    name = f"np.{twins.attribute('dtype').name}".replace("np.bool", "bool")
    if not twins.shape:
        return call(name, x)
    made = Code(f"{x.within(ATOM)}.astype({name})", shape=twins.shape)
    return replace(made, uncast=x) if twins.one.inputs[0].spec.dtype.kind == "b" else made


def _same(twins: Twins, operands: list[Code]) -> Code:
    return operands[0]


# Movement.


def _reshape(twins: Twins, operands: list[Code]) -> Code:
    (x,) = operands
    source, target = twins.in_shape(0), twins.shape
    if x.squeezed and x.squeezed.shape == target:
        return x.squeezed
    dims = twins.sizes("shape")
    if x.weak:
        dtype = twins.one.output.spec.dtype.name
        return replace(call("np.full", dims, x, f"np.{dtype}", shape=target), loose=x)
    if [n for n in source if n != 1] == [n for n in target if n != 1] and len(source) != len(target):
        return _with_ones(x, source, target, dims)
    if len(target) == 2 and len(source) > 2 and source[0] == target[0]:
        return Code(f"{x.within(ATOM)}.reshape({dims[1:-1].split(',')[0]}, -1)", shape=target)
    return Code(f"{x.within(ATOM)}.reshape{'(())' if dims == '()' else dims}", shape=target)


def _with_ones(x: Code, source: Shape, target: Shape, dims: str) -> Code:
    """Axes of size 1 that come or go."""
    if 1 in source and 1 in target:
        return Code(f"{x.within(ATOM)}.reshape{dims}", shape=target)
    if len(target) < len(source):
        index = ", ".join("0" if n == 1 else ":" for n in source)
        return Code(f"{x.within(ATOM)}[{index}]", shape=target)
    index = ", ".join("None" if n == 1 else ":" for n in target)
    lead = next((i for i, n in enumerate(target) if n != 1), len(target))
    only_leading = 1 not in target[lead:]
    added = [i for i, n in enumerate(target) if n == 1]
    expanded = (added[0], x) if len(added) == 1 and 1 not in source else None
    return Code(f"{x.within(ATOM)}[{index}]", shape=target, loose=x if only_leading else None, expanded=expanded)


def _transpose(twins: Twins, operands: list[Code]) -> Code:
    (x,) = operands
    axes = twins.attribute("axes")
    if axes == (1, 0):
        return Code(f"{x.within(ATOM)}.T", shape=twins.shape)
    swapped = (*range(len(axes) - 2), len(axes) - 1, len(axes) - 2)
    text = ".swapaxes(-1, -2)" if axes == swapped else f".transpose{axes}"
    return Code(x.within(ATOM) + text, shape=twins.shape)


def _broadcast_to(twins: Twins, operands: list[Code]) -> Code:
    return replace(call("np.broadcast_to", operands[0], twins.sizes("shape"), shape=twins.shape), loose=operands[0])


def _reduction(name: str) -> Writer:
    def write(twins: Twins, operands: list[Code]) -> Code:
        (x,) = operands
        axes, keepdims = twins.attribute("axes"), twins.attribute("keepdims")
        every = len(axes) == len(twins.in_shape(0))
        which = None if every else axes[0] if len(axes) == 1 else axes
        kept = "True" if keepdims else None
        dtype = twins.one.output.spec.dtype
        # NumPy would count small integers in int64.
        wide = f"np.{dtype.name}" if name == "sum" and dtype.kind in "iu" else None

        def made(kept: str | None, shape: Shape) -> Code:
            if x.level == ATOM and not x.weak:
                return call(f"{x}.{name}", axis=which, keepdims=kept, dtype=wide, shape=shape)
            return call(f"np.{name}", x, axis=which, keepdims=kept, dtype=wide, shape=shape)

        less = reduced(twins.in_shape(0), axes, False)
        return replace(made(kept, twins.shape), squeezed=made(None, less) if keepdims else None)

    return write


def _slice(twins: Twins, operands: list[Code]) -> Code:
    (x,) = operands
    picks, single = [], []
    bounds = zip(*(twins.attribute(k) for k in ("starts", "stops", "steps")), twins.in_shape(0), strict=True)
    twin = zip(twins.two.attributes["starts"], twins.two.attributes["stops"], strict=True)
    for (start, stop, step, size), (start_2, stop_2) in zip(bounds, twin, strict=True):
        first = twins.batches.size(start, start_2) if start else ""
        last = twins.batches.size(stop, stop_2) if stop != size else ""
        picks.append(f"{first}:{last}" + (f":{step}" if step != 1 else ""))
        single.append(str(start) if stop - start == 1 and size > 1 and start == start_2 else picks[-1])
    made = Code(f"{x.within(ATOM)}[{_index(picks)}]", shape=twins.shape)
    less = tuple(n for n, pick in zip(twins.shape, single, strict=True) if ":" in pick)
    return replace(made, squeezed=Code(f"{x.within(ATOM)}[{_index(single)}]", shape=less))


def _index(picks: Sequence[str]) -> str:
    """An index without what stands for whole axes at its end."""
    kept = list(picks)
    while len(kept) > 1 and kept[-1] == ":":
        kept.pop()
    return ", ".join(kept) or "()"


def _pad(twins: Twins, operands: list[Code]) -> Code:
    low, high, between = (twins.attribute(key) for key in ("low", "high", "interior"))
    if any(between) or not low:
        return call("pad", operands[0], twins.sizes("low"), twins.sizes("high"), between, shape=twins.shape)
    sides = zip(low, high, twins.two.attributes["low"], twins.two.attributes["high"], strict=True)
    pads = [f"({twins.batches.size(a, c)}, {twins.batches.size(b, d)})" for a, b, c, d in sides]
    return call("np.pad", operands[0], f"({', '.join(pads)}{',' * (len(pads) == 1)})", shape=twins.shape)


def _concatenate(twins: Twins, operands: list[Code]) -> Code:
    axis, inner = twins.attribute("axis"), [x.expanded for x in operands]
    if all(part is not None and part[0] == axis for part in inner):
        stacked = f"[{', '.join(str(part[1]) for part in inner if part)}]"
        return call("np.stack", stacked, axis=axis, shape=twins.shape)
    parts = f"[{', '.join(map(str, operands))}]"
    return call("np.concatenate", parts, axis=axis, shape=twins.shape)


def _gather(twins: Twins, operands: list[Code]) -> Code:
    x, indices = operands
    axis = twins.attribute("axis")
    if axis == 0:
        return Code(f"{x.within(ATOM)}[{indices}]", shape=twins.shape)
    return call("np.take", x, indices, axis=axis, shape=twins.shape)


def _along(name: str, *kept: str) -> Writer:
    """A function with some attributes by name."""

    def write(twins: Twins, operands: list[Code]) -> Code:
        named = {key: twins.attribute(key) for key in kept}
        if "size" in named:
            named["size"] = twins.batches.size(twins.one.attributes["size"], twins.two.attributes["size"])
        return call(name, *operands, **named, shape=twins.shape)

    return write


# Windows.


def _windowed(name: str, *, shaped: bool = False) -> Writer:
    """A function of windows; what has its usual value is not written."""

    def write(twins: Twins, operands: list[Code]) -> Code:
        at = twins.one.attributes
        first = [twins.sizes("shape")] if shaped else []
        first += [str(at["window"])] if "window" in at else []
        ones = (1,) * len(at["strides"])
        return call(
            name, *operands, *first, shape=twins.shape,
            strides=None if at["strides"] == at.get("window", ones) else at["strides"],
            pads=at["pads"] if any(any(pair) for pair in at["pads"]) else None,
            dilation=None if at.get("dilation", ones) == ones else at["dilation"],
            groups=None if at.get("groups", 1) == 1 else at["groups"],
        )  # fmt: skip

    return write


def _random(name: str) -> Writer:
    def write(twins: Twins, operands: list[Code]) -> Code:
        dtype = twins.one.attributes.get("dtype")
        wide = "np.float64" if dtype == np.float64 else None
        return call(name, operands[0], twins.sizes("shape"), dtype=wide, shape=twins.shape)

    return write


#: Operation or composite -> how it is written.
WRITERS: dict[str, Writer] = {
    "abs": _function("np.abs"), "ceil": _function("np.ceil"), "cos": _function("np.cos"), "erf": _function("erf"),
    "exp": _function("np.exp"), "expm1": _function("np.expm1"), "floor": _function("np.floor"),
    "is_finite": _function("np.isfinite"), "log": _function("np.log"), "log1p": _function("np.log1p"),
    "logical_and": _function("np.logical_and"), "logical_not": _function("np.logical_not"),
    "logical_or": _function("np.logical_or"), "maximum": _function("np.maximum"), "minimum": _function("np.minimum"),
    "relu": _function("relu"), "sigmoid": _function("sigmoid"), "sign": _function("np.sign"),
    "sin": _function("np.sin"), "softplus": _function("softplus"), "tanh": _function("np.tanh"), "sqrt": _sqrt,
    "equal": _compared("=="), "not_equal": _compared("!="), "less": _compared("<"), "less_equal": _compared("<="),
    "greater": _compared(">"), "greater_equal": _compared(">="),
    "add": _add, "sub": _sub, "mul": _mul, "div": _div, "pow": _pow, "neg": _neg, "matmul": _matmul, "where": _where,
    "cast": _cast, "identity": _same, "stop_gradient": _same, "reshape": _reshape, "transpose": _transpose,
    "broadcast_to": _broadcast_to,
    "flip": lambda twins, x: call("np.flip", *x, twins.attribute("axes"), shape=twins.shape),
    "sum": _reduction("sum"), "max": _reduction("max"), "min": _reduction("min"), "mean": _reduction("mean"),
    "argmax": _along("np.argmax", "axis"),
    "argsort": lambda twins, x: call(
        "np.argsort", *x, axis=twins.attribute("axis"), kind='"stable"', shape=twins.shape
    ),
    "cumsum": lambda twins, x: call(
        "np.cumsum", *x, axis=twins.attribute("axis"), dtype=_counted(twins), shape=twins.shape
    ),
    "slice": _slice, "pad": _pad, "concatenate": _concatenate, "gather": _gather,
    "scatter_add": _along("scatter_add", "size", "axis"), "take_along_axis": _along("np.take_along_axis", "axis"),
    "add_along_axis": _along("add_along_axis", "size", "axis"),
    "conv": _windowed("conv"), "conv_input_grad": _windowed("conv_input_gradient", shaped=True),
    "conv_kernel_grad": _windowed("conv_kernel_gradient", shaped=True),
    "max_pool_index": _windowed("max_pool_winners"), "window_sum": _windowed("window_sum"),
    "window_spread": _windowed("window_spread", shaped=True),
    "fold_in": lambda twins, x: call("fold_in", *x, shape=twins.shape), "random_bits": _random("random_bits"),
    "random_uniform": _random("random_uniform"),
    "softmax": lambda twins, z: call("softmax", *z, axis=_other_axis(twins), shape=twins.shape),
    "log_softmax": lambda twins, z: call("log_softmax", *z, axis=_other_axis(twins), shape=twins.shape),
    "square": lambda twins, x: Code(f"{x[0].within(ATOM)}**2", POWER, twins.shape),
    "one_hot": _along("one_hot", "classes"), "cross_entropy": _along("cross_entropy"),
    "cross_entropy_of_rows": _along("cross_entropy_of_rows"),
    "binary_cross_entropy": _along("binary_cross_entropy"),
    "max_pool": _windowed("max_pool"), "max_pool_gradient": _windowed("max_pool_gradient"),
}  # fmt: skip


def _counted(twins: Twins) -> str | None:
    dtype = twins.one.output.spec.dtype
    return f"np.{dtype.name}" if dtype.kind in "iu" else None


def _other_axis(twins: Twins) -> int | None:
    """The axis of a softmax where it is not the last."""
    axis = twins.attribute("axis")
    return None if axis == len(twins.shape) - 1 else axis
