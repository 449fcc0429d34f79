"""What is read of data frames of pandas, polars and Arrow without importing them."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["column_labels", "date_columns", "find_frame", "is_nullable_float32", "n_levels"]

# How the names of dtypes of times begin, in NumPy, pandas and Arrow.
_TEMPORAL = ("datetime64", "timedelta64", "period[", "timestamp", "date", "time", "duration")


def column_labels(item: Any) -> tuple[Any, ...] | None:
    """Return the labels of a data frame's columns; None for anything else."""
    if type(item) is np.ndarray:
        return None
    labels = getattr(item, "column_names", None)  # of a table of Arrow's
    if labels is None:
        labels = getattr(item, "columns", None)
    return None if labels is None or callable(labels) else tuple(labels)


def find_frame(X: Any) -> Any:
    """Return X itself if it is a data frame, else the first one among its items, if any."""
    if isinstance(X, (list, tuple)) or (isinstance(X, np.ndarray) and X.dtype == object):
        return next((item for item in X if column_labels(item) is not None), None)
    return None if column_labels(X) is None else X


def date_columns(item: Any) -> list[Any]:
    """Return the columns of times of a data frame of pandas, polars or Arrow.

    NumPy makes objects or numbers of them: days or microseconds since 1970.
    """
    schema: Any = getattr(item, "schema", None)  # of polars and Arrow
    if schema is None:
        schema = getattr(item, "dtypes", None)  # of pandas
    if hasattr(schema, "types"):
        columns = zip(schema.names, schema.types, strict=True)
    elif hasattr(schema, "items"):
        columns = schema.items()
    else:
        return []
    return [name for name, dtype in columns if _is_temporal(dtype)]


def n_levels(frame: Any, axis: str) -> int:
    """Levels of the labels of an axis, 1 for anything but a MultiIndex."""
    return int(getattr(getattr(frame, axis, None), "nlevels", 1))


def is_nullable_float32(item: Any) -> bool:
    """Whether pandas stores it as float32 with NA, of which NumPy makes objects."""
    dtypes = item.dtypes if hasattr(item, "columns") else [getattr(item, "dtype", None)]
    return all(getattr(dtype, "numpy_dtype", None) == np.float32 for dtype in dtypes)


def _is_temporal(dtype: Any) -> bool:
    """Whether a dtype of any library is that of dates, durations, times of day or periods."""
    if hasattr(dtype, "is_temporal"):
        return bool(dtype.is_temporal())
    return str(dtype).startswith(_TEMPORAL)
