"""A weight counts like that many copies of a sequence, and a wrong one is refused."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cbptt.testing.cases import (
    FORMS,
    LEARNING,
    LENGTHS,
    ODD,
    Case,
    outputs_of,
    take,
    with_odd,
)
from cbptt.testing.registry import (
    check,
    per_step,
    predictor,
    weighted,
)

Array: TypeAlias = NDArray[Any]


@check(weighted)
def check_weights_of_one(case: Case) -> None:
    """Weights of 1 are as no weights."""
    expected = outputs_of(case.fit(), case.X)
    ones = np.ones(len(case.X))
    for what, weight in {"an array": ones, "a list": ones.tolist(), "None": None}.items():
        output = outputs_of(case.fit(sample_weight=weight), case.X)
        case.assert_same(output, expected, f"weights of 1 as {what}", LEARNING)


@check(weighted, predictor, per_step)
def check_step_weights_of_one(case: Case) -> None:
    """Weights of 1 for every step are as no weights."""
    expected = outputs_of(case.fit(), case.X)
    ones = [np.ones(T) for T in LENGTHS]
    for form, make in FORMS.items():
        output = outputs_of(case.fit(sample_weight=make(ones)), case.X)
        case.assert_same(output, expected, f"step weights of 1 as {form}", LEARNING)


@check(weighted)
def check_weight_zero(case: Case) -> None:
    """A sequence of weight 0 is as one that is not there."""
    X = with_odd(case.X, -case.X[ODD])  # its target is wrong: to learn from it would show
    weight = with_odd(np.ones(len(X)), 0)
    others = np.flatnonzero(weight)
    expected = outputs_of(case.fit([X[i] for i in others], take(case.y, others)), case.X)
    output = outputs_of(case.fit(X, case.y, sample_weight=weight), case.X)
    case.assert_same(output, expected, "a weight of 0", LEARNING)


@check(weighted)
def check_weight_two(case: Case) -> None:
    """A sequence of weight 2 is as the sequence twice, where a batch holds 13 sequences."""
    X = with_odd(case.X, -case.X[ODD])
    twice = [*range(len(X)), ODD]
    weight = with_odd(np.ones(len(X)), 2)
    expected = outputs_of(case.fit([X[i] for i in twice], take(case.y, twice)), case.X)
    output = outputs_of(case.fit(X, case.y, sample_weight=weight), case.X)
    case.assert_same(output, expected, "a weight of 2", LEARNING)


@check(weighted)
def check_weights_all_zero(case: Case) -> None:
    """Weights that are all 0 are refused."""
    _check_bad_weights(case, np.zeros(len(LENGTHS)))


@check(weighted)
def check_weight_negative(case: Case) -> None:
    """A negative weight is refused."""
    weight = with_odd(np.ones(len(LENGTHS)), -1)
    _check_bad_weights(case, weight)


@check(weighted)
def check_weight_nan(case: Case) -> None:
    """A weight of NaN or infinity is refused."""
    for value in (np.nan, np.inf):
        weight = with_odd(np.ones(len(LENGTHS)), value)
        _check_bad_weights(case, weight)


@check(weighted)
def check_number_of_weights(case: Case) -> None:
    """Fewer or more weights than sequences are refused."""
    for n in (len(LENGTHS) - 1, len(LENGTHS) + 1):
        _check_bad_weights(case, np.ones(n))


def _check_bad_weights(case: Case, weight: Array) -> None:
    what = f"sample_weight={weight}"
    case.assert_refuses(lambda: case.fit(sample_weight=weight), what, "sample_weight|weights?")
