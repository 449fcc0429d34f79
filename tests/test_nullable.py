"""What data frames know as missing is NaN wherever numbers are read, and text cannot be missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from sklearn.preprocessing import StandardScaler

from cbptt import (
    PerTimestep,
    Ragged,
    RNNClassifier,
    RNNForecaster,
    RNNRegressor,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    from_long,
    make_windows,
)
from cbptt.data.sequences import check_sequences

nan = np.nan
quick = {"max_iter": 1, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def pandas_column(dtype: str) -> pd.Series:
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    values = [True, None, False] if "bool" in dtype else [1, None, 0]
    return pd.Series(values, dtype=dtype)


COLUMNS = {
    "float": lambda: pandas_column("Float64"),
    "int": lambda: pandas_column("Int64"),
    "small int": lambda: pandas_column("UInt8"),
    "bool": lambda: pandas_column("boolean"),
    "arrow float": lambda: pandas_column("double[pyarrow]"),
    "arrow int": lambda: pandas_column("int8[pyarrow]"),
    "arrow bool": lambda: pandas_column("bool[pyarrow]"),
    "polars int": lambda: pl.Series([1, None, 0]),
    "polars bool": lambda: pl.Series([True, None, False]),
    "objects": lambda: np.array([1, None, 0], object),
    "objects of pandas": lambda: np.array([1.0, pd.NA, 0], object),
}


@pytest.fixture(params=COLUMNS.values(), ids=COLUMNS)
def column(request: pytest.FixtureRequest) -> Any:
    """1, missing, 0; True, missing, False."""
    return request.param()


def frame_of(column: Any) -> Any:
    library = pl if isinstance(column, pl.Series) else pd
    return library.DataFrame({"a": column, "b": column})


def test_missing_is_nan_in_every_form_of_sequences(column: Any) -> None:
    flat = np.array([1, nan, 0])
    frame = frame_of(column)
    square = np.repeat(flat, 2).reshape(3, 2)
    for X, expected in [
        (frame, square.reshape(6, 1)),
        ([frame, frame], np.tile(square, (2, 1))),
        ([column, column], np.tile(flat, 2)[:, None]),
    ]:
        read = check_sequences(X, caller="test", allow_nan=True)
        assert_array_equal(read.values, expected, strict=True)
    assert_array_equal(Ragged.from_sequences([column]).values, flat, strict=True)
    assert_array_equal(Ragged.from_flat(column, [3]).values, flat, strict=True)
    assert_array_equal(Ragged.from_flat(frame, [1, 2]).values, square, strict=True)
    assert_array_equal(Ragged.from_padded(frame, [2, 1, 2]).values, [1, 1, nan, 0, 0])
    assert_array_equal(make_windows(column, 2)[:, :, 0], [[1, nan], [nan, 0]])
    assert_array_equal(make_windows(frame, 3)[0], square)


@pytest.mark.parametrize("dtype", ["Float32", "float[pyarrow]"])
def test_nullable_float32_stays_float32(dtype: str) -> None:
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    column = pd.Series([0.1, None], dtype=dtype)
    expected = np.array([0.1, nan], np.float32)
    frame = pd.DataFrame({"a": column, "b": column})
    assert_array_equal(Ragged.from_flat(column, [2]).values, expected, strict=True)
    read = check_sequences([frame], caller="test", allow_nan=True).values
    assert_array_equal(read[:, 1], expected, strict=True)


def test_a_long_table_has_nan_where_it_has_no_number(column: Any) -> None:
    library = pl if isinstance(column, pl.Series) else pd
    frame = library.DataFrame({"id": [1, 1, 1], "x": column})
    data = from_long(frame, id="id", features="x", target="x", target_per="step")
    assert_array_equal(data.X[0][:, 0], [1, nan, 0])
    assert_array_equal(data.y[0], [1, nan, 0])


def test_estimators_mask_what_is_missing_and_leave_out_steps_without_a_target(column: Any) -> None:
    frame = frame_of(column)
    array = np.repeat([1, nan, 0], 2).reshape(3, 2)
    told = [
        RNNSequenceRegressor(2, missing="mask", **quick).fit([X, X], [y, y]).predict([X])[0]
        for X, y in [(frame, column), (array, np.array([1, nan, 0]))]
    ]
    assert_array_equal(*told, strict=True)
    scaled = PerTimestep(StandardScaler()).fit_transform([frame])[0]
    assert_array_equal(scaled[:, 0], [1, nan, -1])


ones = np.ones((3, 2))


@pytest.mark.parametrize(
    ("call", "place"),
    [
        (lambda c: RNNRegressor(2).fit(frame_of(c), np.ones(3)), r"X\[1\] with NaN at step 0"),
        (lambda c: RNNRegressor(2).fit(ones, c), r"y\[1\] = nan"),
        (lambda c: RNNClassifier(2).fit(ones, c), r"y\[1\]"),
        (lambda c: RNNSequenceClassifier(2).fit([ones], [c]), r"y\[0\]\[1\]"),
        (lambda c: RNNRegressor(2).fit(ones, np.ones(3), c), r"sample_weight\[1\] = nan"),
        (lambda c: RNNForecaster(2).fit(c), "y with NaN at step 1"),
        (lambda c: RNNForecaster(2).fit(np.ones(3), c), "X with NaN at step 1"),
        (lambda c: Ragged.from_flat(ones, c), r"lengths\[1\] without a value"),
        (lambda c: Ragged.from_padded(ones, c), r"lengths\[1\] without a value"),
    ],
    ids=["X", "y", "labels", "step labels", "weights", "series", "exogenous", "flat", "padded"],
)
def test_where_nothing_may_be_missing_the_place_is_named(
    column: Any, call: Callable[[Any], object], place: str
) -> None:
    with pytest.raises(ValueError, match=f"^[A-Za-z._]+ got {place}"):
        call(column)


@pytest.mark.parametrize("values", [np.array([2, 1]), pd.Series([2, 1]), pl.Series([2, 1])])
def test_lengths_may_be_a_column_of_any_library(values: Any) -> None:
    if isinstance(values, np.ndarray):
        values = pd.array(values, dtype="Int64")
    assert_array_equal(Ragged.from_flat(np.ones(3), values).lengths, [2, 1])


def test_masked_lengths_are_refused() -> None:
    with pytest.raises(TypeError, match="lengths as a masked array"):
        Ragged.from_flat(np.ones(3), np.ma.masked_array([2, 1], [False, True]))


@pytest.mark.parametrize("dtype", ["str", object, "string", "category"])
def test_a_missing_text_is_named(dtype: Any) -> None:
    labels = pd.Series(["a", "b", None], dtype=dtype)
    with pytest.raises(ValueError, match=r"not of one kind: y\[0\]\[2\] is of type"):
        RNNSequenceClassifier(2).fit([ones], [labels])
