"""The description of a network: its sizes, its functions and its precision, fixed once made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cbptt.data.integers import MAX_COUNT, read_integer
from cbptt.data.reading import spell
from cbptt.losses import ACTIVATIONS, OUTPUT_ACTIVATIONS, PAIRS, READOUTS, check_pair
from cbptt.parameters import CELLS, N_STATES, Layout, Track, network_layout

__all__ = ["Architecture", "check_blas_size"]


@dataclass(frozen=True)
class Architecture:
    """What a network is, apart from the values of its parameters.

    Parameters
    ----------
    n_inputs, n_outputs : int
        The lecture's D and K.
    hidden_size : int or tuple of ints
        The lecture's M; of several layers the units of each, the lowest first.
    cell : {"rnn", "gru", "lstm"}
        What a layer is made of.
    bidirectional : bool
        Whether each layer runs in both directions.
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
    hidden_size: int | tuple[int, ...]
    n_outputs: int
    cell: str = "rnn"
    bidirectional: bool = False
    activation: str = "tanh"
    output_activation: str = "identity"
    loss: str = "squared_error"
    readout: str = "every"
    learn_initial_state: bool = False
    dtype: np.dtype[Any] = np.dtype(np.float64)  # noqa: RUF009  (a dtype cannot be changed)

    def __post_init__(self) -> None:
        for name in ("n_inputs", "n_outputs"):
            object.__setattr__(self, name, _read_size(getattr(self, name), name))
        object.__setattr__(self, "hidden_size", _read_sizes(self.hidden_size))
        object.__setattr__(self, "bidirectional", bool(self.bidirectional))
        for name, allowed in (
            ("cell", CELLS),
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
        if self.cell != "rnn" and self.activation != "tanh":
            raise ValueError(
                f"RNN got activation={self.activation!r} with cell={self.cell!r}, whose gates are "
                f"logistic and whose states are tanh; expected activation='tanh', or cell='rnn'."
            )
        object.__setattr__(self, "_layout", network_layout(self))
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
    def hidden_sizes(self) -> tuple[int, ...]:
        """Units of each layer, the lowest first."""
        return self.hidden_size if isinstance(self.hidden_size, tuple) else (self.hidden_size,)

    @property
    def n_directions(self) -> int:
        """1, or 2 of a bidirectional network."""
        return 2 if self.bidirectional else 1

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Each layer in each direction: layer 0 forward, layer 0 reverse, layer 1 forward, ..."""
        several = len(self.hidden_sizes) > 1 or self.bidirectional
        found, D = [], self.n_inputs
        for i, M in enumerate(self.hidden_sizes):
            for reverse in (False, True)[: self.n_directions]:
                suffix = f"_l{i}{'_reverse' if reverse else ''}" if several else ""
                found.append(Track(i, reverse, D, M, suffix))
            D = M * self.n_directions
        return tuple(found)

    @property
    def output_width(self) -> int:
        """Units of the uppermost layer, in all directions: what the output layer reads."""
        return self.hidden_sizes[-1] * self.n_directions

    @property
    def state_width(self) -> int:
        """Numbers of the state of a sequence: h of each layer and direction, and c of an LSTM."""
        return self.unit_width * N_STATES[self.cell]

    @property
    def unit_width(self) -> int:
        """Hidden units of all layers and directions: columns of recurrent dropout's masks."""
        return sum(self.hidden_sizes) * self.n_directions

    @property
    def input_width(self) -> int:
        """Inputs of all layers: columns of dropout's masks."""
        return self.n_inputs + sum(self.hidden_sizes[:-1]) * self.n_directions

    def last_of(self, states: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the h of the uppermost layer (n, output_width) in states (n, state_width)."""
        n_rows, M = N_STATES[self.cell], self.hidden_sizes[-1]
        first = self.state_width - n_rows * M * self.n_directions
        own = [states[:, first + n_rows * M * d :][:, :M] for d in range(self.n_directions)]
        return own[0] if len(own) == 1 else np.concatenate(own, axis=1)

    def check_causal(self, what: str, caller: str) -> None:
        """Refuse what goes step by step, if the network must read whole sequences.

        Parameters
        ----------
        what : str
            What is to be done, as a verb: "step", "generate", "forecast".
        caller : str
            What the error begins with.

        Raises
        ------
        ValueError
            If the network is bidirectional.
        """
        if self.bidirectional:
            raise ValueError(
                f"{caller} cannot {what} with bidirectional=True, as the reverse direction begins "
                f"at the end of a sequence; use bidirectional=False."
            )

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


def _read_size(value: Any, name: str) -> int:
    size = read_integer(value, caller="RNN", name=name, most=None)
    check_blas_size(size, f"{name}={spell(size)}")
    return size


def _read_sizes(value: Any) -> int | tuple[int, ...]:
    """Return the units of one layer as an int, and of several as a tuple."""
    if not isinstance(value, (tuple, list)):
        return _read_size(value, "hidden_size")
    if not value:
        raise ValueError("RNN got hidden_size=(); expected an int, or an int for each layer.")
    sizes = tuple(_read_size(size, f"hidden_size[{i}]") for i, size in enumerate(value))
    return sizes if len(sizes) > 1 else sizes[0]


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
