"""Live sequences: one step at a time, with states that the caller keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbptt.data.frames import find_frame
from cbptt.data.integers import read_integer
from cbptt.data.reading import cast_finite, read_array, spell
from cbptt.data.sequences import Sequences, check_sequences
from cbptt.estimators._forms import check_names
from cbptt.estimators._missing import indicate
from cbptt.estimators._notices import warn_all
from cbptt.estimators._snapshot import Snapshot
from cbptt.estimators._targets import TargetForm, steps_like
from cbptt.network import RNN

Array = NDArray[np.floating]


class Streaming(Snapshot):
    """What an estimator does step by step; a state is a plain (n, S) array.

    S is the state_width of the network: its units, of all layers, and for an LSTM twice as many.
    """

    network_: RNN
    _fill: NDArray[np.float64] | None
    # The network that was checked, and takes x as it is.
    _stepping: RNN | None = None
    _read_columns: bool
    _target_form: TargetForm

    def start(self, n: int = 1) -> Array:
        """Return the states of n sequences before their first steps.

        Parameters
        ----------
        n : int, default=1
            Number of live sequences.

        Returns
        -------
        state : (n, S) ndarray
            0, or the initial state that was learned. It may be stored, and sliced and concatenated
            along its first axis.

        Raises
        ------
        ValueError
            If n is below 1, or the network must read whole sequences: if `pooling` is "mean" or
            "max", or the network is bidirectional.
        """
        network = self._snapshot()._network_of_steps()
        return network.engine.start(read_integer(n, caller=f"{self._name}.start", name="n"))

    def step(self, x: Any, state: Any) -> tuple[Array, Array]:
        """Take one step of some live sequences.

        Parameters
        ----------
        x : (n, D) array, or (n,) where D is 1
            The inputs of the step. Quickest as a C-contiguous array of the network's precision.
        state : (n, S) array, from `start` or the step before
            It must come from this model; as a plain array, it cannot be distinguished from a state
            of another model with as many units.

        Returns
        -------
        y : (n, K) or (n,) ndarray
            The prediction after this step: the probabilities of the classes, or numbers as from
            `predict`.
        state : (n, S) ndarray
            To be passed to the next step; the given state is not changed.

        Raises
        ------
        ValueError, TypeError
            Where x or state does not fit the network, or each other, or is not finite.
        """
        network, result = self._stepping, None
        if network is not None and network is self.network_:
            result = network._step(x, state)
        if result is None:
            model = self._snapshot()
            result = model._step_with_care(x, state)
            # where values may be missing, x is not yet what the network reads
            self._stepping = model.network_ if model._fill is None else None
        y, state = result
        return (y[:, 0] if self._target_form.squeezed else y), state

    def step_many(self, X: Any, state: Any) -> tuple[Any, Array]:
        """Take a block of steps of some live sequences.

        Parameters
        ----------
        X : n sequences, in any form that `fit` takes: their next steps
        state : (n, S) array, from `start` or the step before

        Returns
        -------
        y : what `step` returns, for each step: (n, T, K) or (n, T) ndarray for an array X, for
            ragged X a 1-D object array of (T_i, K) or (T_i,) ndarrays
        state : (n, S) ndarray

        Warns
        -----
        RuntimeWarning
            Where an output is not finite, as of a network with relu that leaves the range.
        """
        model = self._snapshot()
        network = model._network_of_steps()
        sequences: Sequences = model._read(X, stacklevel=2)  # type: ignore[attr-defined]
        states = model._check_state(state, len(sequences), network)
        engine = network.with_readout("every").engine
        found = engine.predict(sequences, states, states=True)
        output, final = found.outputs, found.final
        notices = model._notices_of_range(output, sequences, "every")  # type: ignore[attr-defined]
        warn_all(notices, stacklevel=2)
        y = output[:, 0] if model._target_form.squeezed else output
        return steps_like(sequences, y), final

    def reset(self, state: Any, rows: Any) -> Array:
        """Return states in which some sequences start again.

        Parameters
        ----------
        state : (n, S) array
        rows : index of the sequences that begin: ints, a mask or a slice

        Returns
        -------
        state : (n, S) ndarray, a copy

        Raises
        ------
        ValueError, TypeError, IndexError
            Where state does not fit the network, or rows are no index of it.
        """
        network = self._snapshot()._network_of_steps()
        states = self._check_state(state, None, network).copy()
        try:
            states[rows] = network.engine.start(1)
        except IndexError as cause:
            raise IndexError(
                f"{self._name}.reset got rows={spell(rows)} for {len(states)} sequences; "
                f"expected ints from 0 to {len(states) - 1}, a mask or a slice ({cause})."
            ) from cause
        return states

    # ---- the parts ----------------------------------------------------------------------------

    def _network_of_steps(self) -> RNN:
        network = self.network_
        network.engine.architecture.check_causal("step", self._name)
        if network.readout in ("mean", "max"):
            raise ValueError(
                f"{self._name} with pooling={network.readout!r} reads all states of a "
                f"sequence, so it cannot go on from the last one; expected pooling='last'."
            )
        return network

    def _step_with_care(self, x: Any, state: Any) -> tuple[Array, Array]:
        """Take a step from whatever may be given, or say what is wrong with it."""
        network, name = self._network_of_steps(), self._name
        D = network.n_inputs if self._fill is None else network.n_inputs // 2
        frame = find_frame(x)
        if frame is not None and not self._read_columns:
            check_names(frame, vars(self), estimator=self)
        expected = f"expected shape (n, {D}), the inputs of one step of n sequences"
        array = read_array(x, caller=name, name="x", ndims=(1, 2), expected=expected)
        if array.ndim == 1 and D == 1:
            array = array[:, None]
        if array.ndim != 2 or array.shape[1] != D or len(array) == 0:
            raise ValueError(f"{name} got x of shape {array.shape}; {expected}.")
        steps = check_sequences(
            array[:, None, :],
            caller=name,
            name="x",
            dtype=network.dtype,
            allow_nan=self._fill is not None,
        )
        states = self._check_state(state, len(array), network)
        result = network._step(indicate(steps, self._fill).values, states)
        assert result is not None
        return result

    def _check_state(self, state: Any, n: int | None, network: RNN) -> Array:
        name, M = self._name, network.state_width
        expected = f"expected shape ({'n' if n is None else n}, {M}), from start or the step before"
        states = read_array(state, caller=name, name="state", ndims=(2,), expected=expected)
        if states.shape[1] != M or (n is not None and len(states) != n):
            raise ValueError(f"{name} got state of shape {states.shape}; {expected}.")
        return cast_finite(states, network.dtype, caller=name, name="state")
