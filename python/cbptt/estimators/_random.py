"""Generators of random numbers, from what scikit-learn calls random_state."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_random_state


def make_generator(
    random_state: int | np.random.RandomState | None, caller: str
) -> np.random.Generator:
    """Return a generator for a method's random_state, which is checked.

    Raises
    ------
    ValueError
        If it is none; the message begins with the caller.
    """
    try:
        seed = check_random_state(random_state).randint(2**31)
    except ValueError:
        raise ValueError(
            f"{caller} got random_state={random_state!r}; expected None, an int from 0 up or a "
            f"numpy.random.RandomState."
        ) from None
    return np.random.default_rng(seed)
