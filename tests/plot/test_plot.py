"""What all functions of the package share."""

import inspect

import pytest

from pellucid import plot

#: What is no picture: names of surfaces, records, and the descent itself.
_NO_PICTURES = {"SURFACES", "Path", "Surface", "descend"}


@pytest.mark.parametrize("name", sorted(set(plot.__all__) - _NO_PICTURES))
def test_every_picture_takes_the_axes_to_draw_on_by_one_name(name):
    parameter = inspect.signature(getattr(plot, name)).parameters["ax"]
    assert (parameter.default, parameter.kind) == (None, inspect.Parameter.KEYWORD_ONLY)
