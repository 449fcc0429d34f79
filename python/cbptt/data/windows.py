"""Windows: many short sequences out of one long series, and what follows each of them."""

from __future__ import annotations

import warnings
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from cbptt.data.frames import column_labels
from cbptt.data.integers import read_integer
from cbptt.data.ragged import Ragged
from cbptt.data.reading import read_array
from cbptt.data.sequences import read_ragged
from cbptt.data.times import check_one_level, read_index

__all__ = ["make_windows"]

Array: TypeAlias = NDArray[Any]


@overload
def make_windows(series: Any, length: int, stride: int = 1, horizon: Literal[0] = 0) -> Array: ...
@overload
def make_windows(
    series: Any, length: int, stride: int = 1, *, horizon: int
) -> tuple[Array, Array]: ...
@overload
def make_windows(series: Any, length: int, stride: int, horizon: int) -> tuple[Array, Array]: ...
def make_windows(
    series: Any, length: int, stride: int = 1, horizon: int = 0
) -> Array | tuple[Array, Array]:
    """Cut long series into windows of equal length, and into the steps that follow each.

    Window i of a series covers its steps from ``i * stride`` to ``i * stride + length``; its target
    is the ``horizon`` steps after that. Windows whose target would go beyond the end are left
    out, and no window crosses from one series to the next.

    Parameters
    ----------
    series : (T,) or (T, D) array; or several series
        Numbers or text, NaN allowed. Several series are a list, tuple or 1-D object array of (T_i,)
        or (T_i, D) arrays, an (n, T, D) array, or a Ragged. Note that an array of two dimensions is
        one series of D variables here.
    length : int
        Steps of a window, at least 1.
    stride : int, default=1
        Steps from the beginning of a window to that of the next, at least 1.
    horizon : int, default=0
        Steps to forecast. With 0 there are no targets.

    Returns
    -------
    X : (n_windows, length, D) ndarray
        The windows, series after series. D is 1 for series of (T,).
    y : (n_windows, horizon) or (n_windows, horizon, D) ndarray
        The steps after each window, for series of (T,) and of (T, D). Only with horizon > 0.

        For a single array both are read-only views, which need no extra memory; copy them to change
        values. For several series they are new arrays.

    Raises
    ------
    TypeError
        If length, stride or horizon is no integer, or the series are no arrays.
    ValueError
        If one of them is too small, a series is shorter than length + horizon, or the times of a
        pandas index decrease or repeat.

    Warns
    -----
    UserWarning
        If the times of a pandas index are not equally spaced.

    See Also
    --------
    sklearn.model_selection.TimeSeriesSplit : Tests on windows later than those of training.

    Notes
    -----
    Neighbouring windows share steps: a random split of them puts the same steps on both sides.
    Cut the series first and make windows of each part, or use TimeSeriesSplit with a gap.

    Examples
    --------
    >>> import numpy as np
    >>> from cbptt import make_windows
    >>> X, y = make_windows(np.arange(8.0), length=4, stride=2, horizon=1)
    >>> X.shape
    (2, 4, 1)
    >>> X[:, :, 0]
    array([[0., 1., 2., 3.],
           [2., 3., 4., 5.]])
    >>> y
    array([[4.],
           [6.]])

    Series of other lengths, as they come from several machines, say:

    >>> make_windows([np.zeros((5, 2)), np.ones((7, 2))], length=3).shape
    (8, 3, 2)
    """
    length = read_integer(length, caller=_CALLER, name="length")
    stride = read_integer(stride, caller=_CALLER, name="stride")
    horizon = read_integer(horizon, caller=_CALLER, name="horizon", least=0)
    check_one_level(series, caller=_CALLER, name="series")
    for name, item in _named(series):
        times = read_index(item)
        if times is not None and (fall := times.find_fall()):
            raise ValueError(f"{_CALLER} got {name} with {fall}")
        if times is not None and (gap := times.find_gap()):
            warnings.warn(f"{_CALLER}: the times of {name} {gap}", UserWarning, stacklevel=2)
    if _is_single(series):
        expected = "expected (T,) or (T, D)"
        array = read_array(
            series, caller=_CALLER, name="series", ndims=(1, 2), expected=expected, text=True
        )
        spans = _spans(array, length, stride, horizon, "series")
    else:
        several = read_ragged(series, caller=_CALLER, name="series")
        spans = np.concatenate(
            [_spans(s, length, stride, horizon, f"series[{i}]") for i, s in enumerate(several)]
        )
    X, y = spans[:, :length], spans[:, length:]
    if X.ndim == 2:
        X = X[:, :, None]
    return (X, y) if horizon else X


_CALLER = "make_windows"


def _named(series: Any) -> list[tuple[str, Any]]:
    """Return the series, and what errors call them."""
    if isinstance(series, (list, tuple)):
        return [(f"series[{i}]", item) for i, item in enumerate(series)]
    return [("series", series)]


def _is_single(series: Any) -> bool:
    """Whether it is one table of numbers, rather than several series in some form."""
    if isinstance(series, (list, tuple, Ragged)):
        return False
    if column_labels(series) is not None:
        return True
    array = np.asarray(series)
    if array.ndim == 1 and array.dtype == object and array.size:
        return np.ndim(array[0]) == 0
    return array.ndim in (1, 2)


def _spans(series: Array, length: int, stride: int, horizon: int, name: str) -> Array:
    """(n_windows, length + horizon) or (n_windows, length + horizon, D): windows with targets."""
    n_steps = length + horizon
    if len(series) < n_steps:
        needed = f"a window of {length} steps"
        if horizon:
            needed += f" and a horizon of {horizon}"
        raise ValueError(
            f"{_CALLER} got {name} with {len(series)} steps, but {needed} needs {n_steps}; "
            "leave it out, or take shorter windows."
        )
    spans = np.lib.stride_tricks.sliding_window_view(series, n_steps, axis=0)[::stride]
    return spans if series.ndim == 1 else spans.swapaxes(1, 2)
