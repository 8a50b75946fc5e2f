"""Derivatives of Python functions: grad, value_and_grad, vjp, hvp, jacobian, hessian - of any order, and nested.

The arguments that are differentiated may be tensors, arrays, numbers, or nests of them (dicts, lists, tuples);
gradients come back in the same nest. The functions work on eager tensors and inside a trace alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid import nest
from pellucid.dtypes import is_float
from pellucid.errors import ConfigurationError, DifferentiationError, ShapeError
from pellucid.op import Value, current_interpreter
from pellucid.ops.elementwise import mul
from pellucid.ops.indexing import stack
from pellucid.ops.movement import reshape, sum
from pellucid.reverse import sweep
from pellucid.shapes import show, size
from pellucid.tensor import EAGER, Tensor, eager_sweep, is_recording, recording, tracked_leaves, watching

Function = Callable[..., Any]


def grad(f: Function, argnums: int | Sequence[int] = 0, *, has_aux: bool = False) -> Function:
    """The function that computes the gradient of ``f``.

    Args:
        f: A function whose result is one number.
        argnums: Which arguments to differentiate by.
        has_aux: ``f`` returns (number, anything); the gradient function then returns (gradient, anything).

    Raises:
        ShapeError: The result of ``f`` is not one number.

    >>> grad(lambda x: x**3)(2.0)
    Tensor(12.)
    >>> grad(grad(lambda x: x**3))(2.0)
    Tensor(12.)
    """
    both = value_and_grad(f, argnums, has_aux=has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, gradients = both(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def value_and_grad(f: Function, argnums: int | Sequence[int] = 0, *, has_aux: bool = False) -> Function:
    """The function that computes both ``f`` and its gradient.

    >>> value_and_grad(lambda p: (p["w"] * 3 + p["b"]) ** 2)({"w": 1.0, "b": 0.5})
    (Tensor(12.25), {'b': Tensor(7.), 'w': Tensor(21.)})
    """

    def both(*args: Any, **kwargs: Any) -> Any:
        leaves, structure, call_args = _watch(args, argnums)
        with recording(True), watching():
            result = f(*call_args, **kwargs)
        value = _need_number(result[0] if has_aux else result)
        one = _like(value, np.ones(value.spec.shape, value.spec.dtype))
        gradients = _pull([value], [one], leaves)
        detached = _release(value, leaves)
        _retire(leaves)
        return (detached, result[1]) if has_aux else detached, nest.unflatten(structure, gradients)

    return both


def vjp(f: Function, *primals: Any) -> tuple[Any, Callable[[Any], Any]]:
    """``f(*primals)``, and the function that takes a cotangent of the result back to one of each primal.

    >>> y, pullback = vjp(lambda x: x * x, np.array([1.0, 2.0], "float32"))
    >>> pullback(np.array([1.0, 10.0], "float32"))
    (Tensor([ 2., 40.]),)
    """
    leaves, structure, call_args = _watch(primals, range(len(primals)))
    with recording(True), watching():
        results, out_structure = nest.flatten(f(*call_args))
    outputs = [out if isinstance(out, Value) else current_interpreter().constant(out, None) for out in results]

    def pullback(cotangent: Any) -> Any:
        given, given_structure = nest.flatten(cotangent)
        if given_structure != out_structure:
            raise ShapeError("vjp: the cotangent is nested otherwise than the result")
        starts = [
            _matching(out, ct, "vjp: the cotangent", "the result") for out, ct in zip(outputs, given, strict=True)
        ]
        return nest.unflatten(structure, _pull(outputs, starts, leaves))

    released = [_release(out, leaves) for out in outputs]
    _retire(leaves)
    return nest.unflatten(out_structure, released), pullback


def hvp(f: Function, x: Any, v: Any) -> Any:
    """The Hessian of ``f`` at ``x`` times ``v``, as the gradient of <gradient, v>: no Hessian is built.

    >>> hvp(lambda w: (w**3).sum(), np.array([1.0, 2.0]), np.array([1.0, 1.0])).tolist()
    [6.0, 12.0]
    """
    directions, v_structure = nest.flatten(v)

    def along(point: Any) -> Any:
        parts, structure = nest.flatten(grad(f)(point))
        if structure != v_structure:
            raise ShapeError("hvp: the direction is nested otherwise than the point")
        total: Any = None
        for part, direction in zip(parts, directions, strict=True):
            term = sum(mul(part, _matching(part, direction, "hvp: the direction", "the point")))
            total = term if total is None else total + term
        return total

    return grad(along)(x)


def jacobian(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that computes every partial derivative of every element of ``f``'s result.

    Each leaf of the result has the shape ``output.shape + input.shape``; one reverse sweep per output element.

    >>> jacobian(lambda x: x * x)(np.array([1.0, 2.0], "float32"))
    Tensor([[2., 0.],
            [0., 4.]])
    """

    def compute(*args: Any, **kwargs: Any) -> Any:
        leaves, structure, call_args = _watch(args, argnums)
        with recording(True), watching():
            outputs, out_structure = nest.flatten(f(*call_args, **kwargs))
        rows = [nest.unflatten(structure, _rows(output, leaves)) for output in outputs]
        _retire(leaves)
        return nest.unflatten(out_structure, rows)

    return compute


def hessian(f: Function, argnums: int = 0) -> Function:
    """The function that computes all second derivatives of a function whose result is one number.

    >>> hessian(lambda w: (1 - w[0] * w[1]) ** 2)(np.zeros(2, "float32"))
    Tensor([[ 0., -2.],
            [-2.,  0.]])
    """
    return jacobian(grad(f, argnums), argnums)


def _rows(output: Any, leaves: list[Any]) -> list[Any]:
    """d output / d leaf, one sweep per element of the output."""
    output = _need_value(output)
    shape = output.spec.shape
    rows: list[list[Any]] = [[] for _ in leaves]
    for position in range(size(shape)):
        unit = np.zeros(shape, output.spec.dtype)
        unit.reshape(-1)[position] = 1
        for column, part in zip(rows, _pull([output], [_like(output, unit)], leaves), strict=True):
            column.append(part)
    return [
        reshape(stack(column), (*shape, *leaf.spec.shape))
        if column
        else _like(leaf, np.zeros((*shape, *leaf.spec.shape), leaf.spec.dtype))
        for column, leaf in zip(rows, leaves, strict=True)
    ]


def _watch(args: tuple, argnums: int | Sequence[int]) -> tuple[list[Any], nest.Structure, list[Any]]:
    """Fresh leaves in the place of the chosen arguments."""
    chosen = [argnums] if isinstance(argnums, int) else list(argnums)
    for number in chosen:
        if not 0 <= number < len(args):
            raise ConfigurationError(f"grad: argument number {number} does not exist; the call has {len(args)}.")
    selected = args[chosen[0]] if isinstance(argnums, int) else tuple(args[n] for n in chosen)
    flat, structure = nest.flatten(selected)
    leaves = [current_interpreter().leaf(value) for value in flat]
    watched = nest.unflatten(structure, leaves)
    call_args = list(args)
    for number, value in zip(chosen, (watched,) if isinstance(argnums, int) else watched, strict=True):
        call_args[number] = value
    return leaves, structure, call_args


def _pull(outputs: list[Any], cotangents: list[Any], leaves: list[Any]) -> list[Any]:
    """Cotangents of the leaves, zeros where the output does not depend on one."""
    if current_interpreter() is EAGER:
        # Record the sweep only if someone may differentiate it: an outer grad, or another tracked tensor.
        others = {id(leaf) for leaf in tracked_leaves([*outputs, *cotangents])} - {id(leaf) for leaf in leaves}
        with recording(bool(others) and is_recording()):
            parts = eager_sweep(outputs, cotangents, leaves)
    else:
        parts = sweep(outputs, cotangents, leaves)
    return [
        _like(leaf, np.zeros(leaf.spec.shape, leaf.spec.dtype)) if part is None else part
        for leaf, part in zip(leaves, parts, strict=True)
    ]


def _release(value: Any, leaves: list[Any]) -> Any:
    """The value without the history that only this gradient needed."""
    if current_interpreter() is not EAGER or not isinstance(value, Tensor):
        return value
    others = {id(leaf) for leaf in tracked_leaves([value])} - {id(leaf) for leaf in leaves}
    return value if others and is_recording() else value.detach()


def _retire(leaves: list[Any]) -> None:
    """No one else will ask for gradients by these leaves: an outer gradient need not record for them."""
    for leaf in leaves:
        if leaf.record is None and current_interpreter() is EAGER:
            leaf.requires_grad = False


def _need_value(result: Any) -> Any:
    if not isinstance(result, Value):
        return current_interpreter().leaf(result)
    if not is_float(result.spec.dtype):
        raise DifferentiationError(f"The result of the function is {result.spec}; only floats have derivatives.")
    return result


def _need_number(result: Any) -> Any:
    value = _need_value(result)
    if size(value.spec.shape) != 1:
        raise ShapeError(
            f"grad: the function's result has shape {show(value.spec.shape)}, but must be one number",
            hint="reduce it with .sum() or .mean(), or use jacobian or vjp",
        )
    return value


def _like(value: Any, given: Any) -> Any:
    """``given`` as a constant beside ``value``."""
    return current_interpreter().constant(given, value.spec.dtype)


def _matching(value: Any, given: Any, what: str, whose: str) -> Any:
    """``given`` as a constant of the shape of ``value``."""
    constant = _like(value, given)
    if constant.spec.shape != value.spec.shape:
        raise ShapeError(f"{what} has shape {show(constant.spec.shape)}, {whose} {value.spec}")
    return constant
