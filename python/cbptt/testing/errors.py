"""Wrong X and y are refused, with an error that names the item."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.base import is_classifier, is_regressor

from cbptt.testing.cases import (
    FORMS,
    LENGTHS,
    ODD,
    Case,
    make_sequences,
    methods_of,
    outputs_of,
    take,
    with_odd,
)
from cbptt.testing.registry import (
    check,
    needs_fit,
    needs_targets,
    per_step,
    predictor,
    refuses_nan,
)


@check()
def check_no_sequences(case: Case) -> None:
    """X without sequences is refused."""
    case.assert_refuses_sequences([], case.y[:0], "an empty list", "X")
    case.assert_refuses_sequences(case.equal[:0], case.y[:0], "an empty array", "X")


@check()
def check_no_steps(case: Case) -> None:
    """A sequence without steps is refused, and the error has its index."""
    y = with_odd(case.y, case.y[ODD][:0]) if case.per_step else case.y
    case.assert_refuses_odd_sequence(np.empty((0, 2)), "a sequence of 0 steps", y)


@check()
def check_unequal_features(case: Case) -> None:
    """A sequence with another number of variables is refused, and the error has its index."""
    odd = np.ones((LENGTHS[ODD], 3))
    case.assert_refuses_odd_sequence(odd, "a sequence of 3 variables among those of 2")


@check(refuses_nan)
def check_nan(case: Case) -> None:
    """NaN is refused with the index of its sequence, unless the tags allow it."""
    odd = case.X[ODD].copy()
    odd[1, 1] = np.nan
    case.assert_refuses_odd_sequence(odd, "NaN")


@check()
def check_infinity(case: Case) -> None:
    """Infinity is refused, and the error has the index of its sequence."""
    for value in (np.inf, -np.inf):
        odd = case.X[ODD].copy()
        odd[1, 1] = value
        case.assert_refuses_odd_sequence(odd, f"{value}")


@check()
def check_text(case: Case) -> None:
    """Text in place of numbers is refused, and the error has the index of its sequence."""
    odd = np.full((LENGTHS[ODD], 2), "1")
    case.assert_refuses_odd_sequence(odd, "text")


@check()
def check_masked_array(case: Case) -> None:
    """A masked array is refused rather than read without its mask."""
    odd = np.ma.masked_greater(case.X[ODD], 0)
    case.assert_refuses_odd_sequence(odd, "a masked array")
    masked = np.ma.masked_greater(case.equal, 0)
    case.assert_refuses_sequences(masked, case.equal_y, "a masked 3-D array", "X")


@check()
def check_sparse(case: Case) -> None:
    """Sparse data are refused."""
    from scipy import sparse

    case.assert_refuses_odd_sequence(sparse.csr_array(case.X[ODD]), "a sparse sequence")
    table = sparse.csr_array(case.equal[:, :, 0])
    case.assert_refuses_sequences(table, case.equal_y, "a sparse array", "X")


@check()
def check_1d_array(case: Case) -> None:
    """A plain 1-D array, which may be one sequence or many, is refused."""
    case.assert_refuses_sequences(case.equal[:, 0, 0], case.equal_y, "a 1-D array", "X")


@check()
def check_4d_array(case: Case) -> None:
    """An array of four axes is refused, and so is a sequence of three."""
    case.assert_refuses_sequences(case.equal[..., None], case.equal_y, "a 4-D array", "X")
    case.assert_refuses_odd_sequence(case.X[ODD][None], "a 3-D sequence")


@check(needs_fit)
def check_features_at_predict(case: Case) -> None:
    """Sequences with another number of variables than in fit are refused by every method."""
    model = case.fit()
    for form, make in FORMS.items():
        for n_features in (1, 3):
            X = make(make_sequences(LENGTHS, n_features))
            for method in methods_of(model):
                what = f"{form} of {n_features} variables, fitted on 2, in {method}"
                call = partial(getattr(model, method), X)
                case.assert_refuses(call, what, "X|sequences?", str(n_features))


@check(predictor)
def check_number_of_targets(case: Case) -> None:
    """Fewer or more targets than sequences are refused, and the error has both numbers."""
    n = len(case.X)
    for index in (range(n - 1), [*range(n), 0]):
        y = take(case.y, list(index))
        what = f"{len(y)} targets for {n} sequences"
        case.assert_refuses(partial(case.fit, case.X, y), what, str(len(y)), str(n))


@check(needs_targets)
def check_no_targets(case: Case) -> None:
    """y=None is refused where targets are needed."""
    case.assert_refuses(lambda: case.estimator.fit(case.X, None), "y=None", "y")


@check(predictor, per_step)
def check_steps_of_targets(case: Case) -> None:
    """Fewer or more targets than steps in one sequence are refused, and the error has its index."""
    steps = case.y[ODD]
    for odd in (steps[:-1], np.append(steps, steps[-1])):
        what = f"{len(odd)} targets for a sequence of {len(steps)} steps"
        y = with_odd(case.y, odd)
        case.assert_refuses(partial(case.fit, case.X, y), what, "y|X", str(ODD))


@check()
def check_refused_fit(case: Case) -> None:
    """A fit that raises leaves the earlier model as it was."""
    model = case.fit()
    expected = outputs_of(model, case.X)
    other = make_sequences(LENGTHS, n_features=3, seed=1)
    bad = {"X": (with_odd(other, np.ones((4, 5))), case.y)}
    if is_classifier(model) or is_regressor(model):
        bad["y"] = (other, take(case.y, range(len(case.X) - 1)))
    for what, (X, y) in bad.items():
        case.assert_refuses(partial(model.fit, X, y), f"bad {what}")
        case.assert_same(outputs_of(model, case.X), expected, f"after a fit with bad {what}")
