"""Four small sets of the UCR and UEA archives, which the wheel of aeon carries."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from real.wheels import read_files

NAMES = ("GunPoint", "BasicMotions", "ItalyPowerDemand", "PickupGestureWiimoteZ")


class Series(NamedTuple):
    """Sequences (T, D), and the class of each."""

    X: list[NDArray[np.float32]]
    y: NDArray[np.str_]


def parse(text: str) -> Series:
    """Read the format .ts: a line for each sequence, ``v,v,...:v,v,...:class``.

    A part between colons holds the values of one variable. Lines of comments begin with "#", those
    that describe the data with "@".
    """
    lines = (line.strip() for line in text.splitlines())
    X, y = [], []
    for line in lines:
        if line and line[0] not in "#@":
            *variables, label = line.split(":")
            X.append(np.array([part.split(",") for part in variables], np.float32).T)
            y.append(label)
    return Series(X, np.array(y))


def load() -> dict[str, tuple[Series, Series]]:
    """Return the published training and test set of each."""
    files = [
        f"aeon/datasets/data/{name}/{name}_{part}.ts"
        for name in NAMES
        for part in ("TRAIN", "TEST")
    ]
    sets = [parse(data.decode()) for data in read_files("aeon", "1.6.0", files)]
    return dict(zip(NAMES, zip(sets[::2], sets[1::2], strict=True), strict=True))
