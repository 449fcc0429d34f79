"""Warnings that are collected where they are found, and given at the line that called us.

`warnings.warn` counts the frames up to that line, so a number is right at one depth only. Code
below a public method therefore returns its notices, and the method itself, or the function that it
calls for this, gives them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import NamedTuple


class Notice(NamedTuple):
    """A warning that was not given yet."""

    message: str
    category: type[Warning] = UserWarning


def warn_all(notices: Iterable[Notice], *, stacklevel: int) -> None:
    """Give warnings.

    Parameters
    ----------
    notices : iterable of Notice
    stacklevel : int
        As of `warnings.warn`: 1 is the function that calls this one, 2 is its caller.
    """
    for message, category in notices:
        warnings.warn(message, category, stacklevel=stacklevel + 1)
