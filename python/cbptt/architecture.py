"""The description of a network: its sizes, its functions and its precision, fixed once made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from cbptt.data.integers import MAX_COUNT, read_integer
from cbptt.data.reading import spell
from cbptt.losses import ACTIVATIONS, OUTPUT_ACTIVATIONS, PAIRS, READOUTS, check_pair
from cbptt.parameters import Layout, elman_layout

__all__ = ["Architecture", "check_blas_size"]


@dataclass(frozen=True)
class Architecture:
    """What a network is, apart from the values of its parameters.

    Parameters
    ----------
    n_inputs, hidden_size, n_outputs : int
        The lecture's D, M and K.
    activation, output_activation, loss, readout : str
        See `cbptt.RNN`.
    learn_initial_state : bool
        Whether h_0 is a parameter.
    dtype : dtype
        Precision of the parameters, float32 or float64.

    Raises
    ------
    ValueError
        For a size below 1, an unknown name, or a loss that does not take the outputs.
    """

    n_inputs: int
    hidden_size: int
    n_outputs: int
    activation: str = "tanh"
    output_activation: str = "identity"
    loss: str = "squared_error"
    readout: str = "every"
    learn_initial_state: bool = False
    dtype: np.dtype[Any] = np.dtype(np.float64)  # noqa: RUF009  (a dtype cannot be changed)

    def __post_init__(self) -> None:
        for name in ("n_inputs", "hidden_size", "n_outputs"):
            size = read_integer(getattr(self, name), caller="RNN", name=name, most=None)
            check_blas_size(size, f"{name}={spell(size)}")
            object.__setattr__(self, name, size)
        for name, allowed in (
            ("activation", ACTIVATIONS),
            ("output_activation", OUTPUT_ACTIVATIONS),
            ("loss", tuple(PAIRS)),
            ("readout", READOUTS),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"RNN got {name}={value!r}; expected one of {allowed}.")
        check_pair(self.output_activation, self.loss, "RNN")
        object.__setattr__(self, "learn_initial_state", bool(self.learn_initial_state))
        object.__setattr__(self, "dtype", _check_precision(self.dtype))
        layout = elman_layout(
            self.n_inputs, self.hidden_size, self.n_outputs, self.learn_initial_state
        )
        object.__setattr__(self, "_layout", layout)
        if self.layout.size > np.iinfo(np.intp).max // self.dtype.itemsize:
            raise ValueError(
                f"RNN got n_inputs={self.n_inputs}, hidden_size={self.hidden_size} and n_outputs="
                f"{self.n_outputs}, which make {self.layout.size} parameters; expected as many as "
                f"memory can hold."
            )

    @property
    def layout(self) -> Layout:
        """Where each parameter lies in theta."""
        layout: Layout = vars(self)["_layout"]
        return layout

    @property
    def state_width(self) -> int:
        """Numbers of the state of a sequence."""
        return self.hidden_size

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain Python values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {"dtype": self.dtype.name}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make the architecture of which `to_dict` returned these values.

        Raises
        ------
        ValueError
            Where a field is missing, unknown or wrong.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, Mapping) or set(values) != names:
            got = sorted(map(str, values)) if isinstance(values, Mapping) else type(values).__name__
            raise ValueError(f"Architecture got {got}; expected the fields {sorted(names)}.")
        return cls(**values)


def check_blas_size(size: int, what: str) -> None:
    """Refuse a size that a BLAS with 32-bit integers would misread."""
    if size > MAX_COUNT:
        raise ValueError(
            f"RNN got {what}; BLAS takes at most {MAX_COUNT} in a dimension. Pass fewer at a time."
        )


def _check_precision(dtype: Any) -> np.dtype[Any]:
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = ""
    if name not in ("float32", "float64"):
        raise ValueError(f"RNN got dtype={dtype!r}; expected float32 or float64.")
    precision: np.dtype[Any] = np.dtype(name)
    return precision
