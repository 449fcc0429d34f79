"""What is learned of the form of X, what a later X must agree with, and likely misreadings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from cbptt.data.frames import column_labels, find_frame
from cbptt.data.sequences import Sequences, check_sequences
from cbptt.data.times import read_index
from cbptt.estimators._snapshot import Snapshot

# Columns of a table that may well be the variables of one sequence.
_FEW = 10
# Values that are looked at to see which axis is time.
_SAMPLE = 100_000


def learn_form(X: Any, sequences: Sequences, *, estimator: Snapshot) -> dict[str, Any]:
    """Return what is learned of an X that was read as sequences, and a later X must agree with.

    Parameters
    ----------
    X : as the user passed it
    sequences : Sequences
    estimator : Snapshot
        What errors and warnings name; it is not changed.

    Returns
    -------
    dict
        _read_columns, whether X was a table; n_features_in_; and feature_names_in_ where X is a
        data frame or holds some.

    Warns
    -----
    UserWarning
        Where some items of a list have names, and others have none.
    """
    columns = sequences.form == "2d"
    n_features = sequences.n_steps // len(sequences) if columns else sequences.n_features
    learned: dict[str, Any] = {"_read_columns": columns, "n_features_in_": n_features}
    frame = find_frame(X)
    if frame is not None:
        probe = BaseEstimator()  # which learns the names, if all of them are text
        validate_data(probe, frame, skip_check_array=True)
        learned |= vars(probe)
        _check_names(X, sequences, learned, estimator)
    return learned


def read_alike(
    X: Any,
    learned: Mapping[str, Any],
    *,
    estimator: Snapshot,
    name: str = "X",
    dtype: Any = "auto",
    allow_nan: bool = False,
) -> Sequences:
    """Read sequences, which must agree with what `learn_form` has learned.

    Parameters
    ----------
    X : as the user passed it
    learned : mapping
    estimator : Snapshot
        What errors and warnings name; it is not changed.
    name : str, default="X"
        What errors call X.
    dtype, allow_nan : as in `check_sequences`

    Raises
    ------
    TypeError, ValueError
        As `check_sequences`, and where the number of variables or columns, or their names, differ.

    Warns
    -----
    UserWarning
        Where either X or the X before has names, and the other has none.
    """
    caller = estimator._name
    columns, n_features = learned["_read_columns"], learned["n_features_in_"]
    sequences = check_sequences(
        X,
        dtype=dtype,
        caller=caller,
        name=name,
        n_features=None if columns else n_features,
        allow_nan=allow_nan,
    )
    if columns and sequences.form == "2d" and sequences.n_steps != len(sequences) * n_features:
        raise ValueError(
            f"{name} has {sequences.n_steps // len(sequences)} features, but {caller} is expecting "
            f"{n_features} features as input. For sequences of other lengths pass a list of arrays."
        )
    if columns and sequences.n_features != 1:
        raise ValueError(
            f"{caller} got {name} with {sequences.n_features} features, but expected n_features=1, "
            f"as it was fitted on sequences of one variable, the rows of a 2-D array. One sequence "
            f"of {n_features} variables is fitted on as [{name}]."
        )
    _check_names(X, sequences, learned, estimator)
    return sequences


def check_names(frame: Any, learned: Mapping[str, Any], *, estimator: Snapshot) -> None:
    """Compare the names of a data frame, or of an array, with those learned.

    Raises
    ------
    ValueError
        If the names differ.

    Warns
    -----
    UserWarning
        If only one of both has names.
    """
    probe = estimator._copied()  # whose class scikit-learn's messages name
    names = ("n_features_in_", "feature_names_in_")
    others = {name: value for name, value in vars(probe).items() if name not in names}
    probe.__dict__ = others | {name: learned[name] for name in names if name in learned}
    validate_data(probe, frame, reset=False, skip_check_array=True)


def _check_names(
    X: Any, sequences: Sequences, learned: Mapping[str, Any], estimator: Snapshot
) -> None:
    """Compare the names of variables, or of the columns of a table, where there are any."""
    columns = learned["_read_columns"]
    if columns and sequences.form != "2d":
        return  # the names are those of steps
    is_list = sequences.form == "list"
    frame = find_frame(X) if columns or is_list else None
    if frame is not None:
        check_names(frame, learned, estimator=estimator)
    if "feature_names_in_" in learned and (
        frame is None or (is_list and any(column_labels(item) is None for item in X))
    ):
        check_names(np.empty((1, learned["n_features_in_"])), learned, estimator=estimator)


def likely_misreading(X: Any, sequences: Sequences, *, replicates: bool) -> str | None:
    """Return how X is read and what to pass instead, where another reading is more likely.

    replicates : whether an estimator of steps got one target for each sequence.
    """
    n, D, lengths = len(sequences), sequences.n_features, sequences.lengths
    T = int(lengths.max())
    steps = f"{n} sequences of {T} step{'s' * (T > 1)}"
    if sequences.form == "2d":
        if n == 1:
            return None
        times = read_index(X)
        are_steps = T <= 2 or replicates or (times is not None and times.values.dtype.kind == "M")
        if not are_steps and T <= _FEW and n >= T:
            table = sequences.values[: _SAMPLE // T * T].reshape(-1, T)
            are_steps = _changes_less(table, axis=0, other=1)
        if are_steps:
            lone = "pass [X] if its rows are the steps of one sequence"
            several = "cbptt.Ragged.from_flat(X, lengths) if of several"
            return f"a 2-D X as {steps} of one variable; {lone}, {several}"
        return None
    if T == D == 1:
        return likely_lone(sequences)
    is_turned = T == 1 or (sequences.form == "3d" and D > T == 2)
    if not is_turned and D > T and (lengths == T).all():
        cube = sequences.values[: max(_SAMPLE // D, T) // T * T].reshape(-1, T, D)
        is_turned = _changes_less(cube, axis=2, other=1)
    if is_turned:
        turned = "cbptt.from_channels_first(X) if a sequence is (n_features, n_timesteps)"
        if T == 1 and sequences.form == "3d":
            turned += ", X.swapaxes(0, 1) if the first axis is time"
        return f"X as {steps} of {D} variables; pass {turned}"
    return None


def likely_lone(sequences: Sequences) -> str | None:
    """Return how X is read, and what to pass instead, where its sequences are likely steps."""
    n = len(sequences)
    if n == 1 or n != sequences.values.size:
        return None
    lone = "X.swapaxes(0, 1)" if sequences.form == "3d" else "[X]"
    return f"X as {n} sequences of 1 step of one variable; pass {lone} if it is one sequence"


def _changes_less(values: NDArray[np.floating], axis: int, other: int) -> bool:
    """Whether values change much less along an axis than along the other.

    Neighbouring steps are alike, as a rule, and neighbouring variables or sequences are not. So
    this is a sign that the axis is time.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        known = np.nan_to_num(values.astype(np.float64))
        change, change_of_other = (np.square(np.diff(known, axis=a)).mean() for a in (axis, other))
    return bool(change < change_of_other / 4)
