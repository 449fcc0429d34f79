"""Real tasks: how well cbptt learns them, and in what time."""

from __future__ import annotations

from typing import Any


def to_the_end(n_epochs: int) -> dict[str, Any]:
    """Return parameters that train so many epochs, while the learning rate falls to 0."""
    return {
        "learning_rate": "cosine",
        "max_iter": n_epochs,
        "tol": 0,
        "n_iter_no_change": n_epochs,
    }


def spelled(parameters: dict[str, Any]) -> str:
    """Return parameters as one writes them in a call."""
    return ", ".join(f"{name}={value!r}" for name, value in parameters.items())
