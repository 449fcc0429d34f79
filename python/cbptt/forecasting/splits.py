"""The split of scikit-learn's cross-validation that an estimator is fitted and scored in."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def shuffles_time(estimator: Any) -> bool:
    """Whether the steps of a test do not follow those of training, in order and without a gap.

    scikit-learn passes arrays that are split already, and these carry no times. Their rows stand in
    the call of `_fit_and_score`, which its searches and scores go through. Outside of it, or if it
    has another name one day, the answer is False.

    Parameters
    ----------
    estimator : object
        Only its own splits count, and not those of an estimator that fits it inside.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        is_split = frame.f_code.co_name == "_fit_and_score"
        if is_split and frame.f_locals.get("estimator") is estimator:
            train, test = (np.asarray(frame.f_locals.get(name)) for name in ("train", "test"))
            if train.ndim == test.ndim == 1 and train.dtype.kind == test.dtype.kind == "i":
                return bool((np.diff(np.concatenate([train, test])) != 1).any())
    return False
