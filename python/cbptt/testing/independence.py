"""A sequence has the same outputs in any batch, order and company."""

from __future__ import annotations

import numpy as np

from cbptt.data.ragged import Ragged
from cbptt.testing.cases import (
    ROUNDING,
    Case,
    make_sequences,
    outputs_of,
    part_of,
)
from cbptt.testing.registry import causal, check, per_step


@check()
def check_order_of_sequences(case: Case) -> None:
    """Sequences in another order have the same outputs."""
    model = case.fit()
    order = np.random.default_rng(0).permutation(len(case.X))
    output = outputs_of(model, [case.X[i] for i in order])
    expected = part_of(outputs_of(model, case.X), list(order))
    case.assert_same(output, expected, "in another order", ROUNDING)


@check()
def check_alone_or_in_a_batch(case: Case) -> None:
    """A sequence alone has the same outputs as among others."""
    model = case.fit()
    among_others = outputs_of(model, case.X)
    for i, x in enumerate(case.X):
        what = f"alone, it was X[{i}]"
        case.assert_same(outputs_of(model, [x]), part_of(among_others, [i]), what, ROUNDING)


@check()
def check_longer_neighbour(case: Case) -> None:
    """Sequences beside a much longer one of larger values have the same outputs."""
    model = case.fit()
    longer = 10 * make_sequences([50])[0]
    output = part_of(outputs_of(model, [*case.X, longer]), range(len(case.X)))
    case.assert_same(output, outputs_of(model, case.X), "beside a longer one", ROUNDING)


@check()
def check_padding_cut_off(case: Case) -> None:
    """Sequences that were padded with NaN, and cut by Ragged.from_padded, are as before."""
    padded = Ragged.from_sequences(case.X).to_padded()
    assert np.isnan(padded).any()
    cut = Ragged.from_padded(padded)
    case.assert_learns_the_same(cut, case.y, case.X, case.y, "padded and cut")


@check(per_step, causal)
def check_no_knowledge_of_the_future(case: Case) -> None:
    """The output of a step depends on the steps up to it, and on none after it."""
    model = case.fit()
    output = outputs_of(model, [x[: len(x) // 2 + 1] for x in case.X])
    halves = {
        method: [steps[: len(x) // 2 + 1] for steps, x in zip(whole, case.X, strict=True)]
        for method, whole in outputs_of(model, case.X).items()
    }
    case.assert_same(output, halves, "without the later half", ROUNDING)
    changed = [np.concatenate([x[: len(x) // 2 + 1], -x[len(x) // 2 + 1 :]]) for x in case.X]
    other_future = {
        method: [steps[: len(x) // 2 + 1] for steps, x in zip(whole, case.X, strict=True)]
        for method, whole in outputs_of(model, changed).items()
    }
    case.assert_same(other_future, halves, "with another later half", ROUNDING)
