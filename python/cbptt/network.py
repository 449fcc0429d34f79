"""The recurrent network as an object: every quantity of the lecture, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from cbptt._live import Live, Parameters
from cbptt.architecture import Architecture
from cbptt.data.reading import cast_finite, read_array
from cbptt.data.sequences import Sequences, check_sequences
from cbptt.engine.engine import Engine, check_checkpoint
from cbptt.engine.results import Derivatives, Forward, Shard, ShardResult
from cbptt.engine.truncation import check_truncation
from cbptt.losses import Targets, check_targets, flatten_targets, flatten_weights
from cbptt.parameters import INITIALISATIONS, Layout, initialise

__all__ = ["RNN", "Derivatives", "Forward", "Live", "Shard", "ShardResult"]

Array = NDArray[np.floating]


class RNN:
    """Recurrent network, with exact backpropagation through time.

    By default the network of the lecture: ``a1(t) = W0 x(t) + W11 h1(t-1) + b0``,
    ``h1(t) = tanh(a1(t))``, ``a2(t) = W1 h1(t) + b1``, ``h2(t) = f(a2(t))``, for sequences of any
    lengths. With other cells, several layers or two directions, h1 is computed otherwise.

    Parameters
    ----------
    n_inputs, n_outputs : int
        The lecture's D and K.
    hidden_size : int or tuple of ints
        The lecture's M; a tuple has the units of each layer, the lowest first.
    cell : {"rnn", "gru", "lstm"}, default="rnn"
        "rnn" is the lecture's. "lstm" has the gates i, f, g, o and no peepholes (Hochreiter &
        Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000). "gru" has its reset gate behind the
        recurrent product (Cho et al. 2014, as PyTorch and cuDNN compute it).
    bidirectional : bool, default=False
        Whether each layer also runs from the last step to the first (Schuster & Paliwal 1997); what
        it puts out at a step is the states of both directions, side by side. Such a network reads
        whole sequences: it cannot step, generate, forecast or be trained in windows.
    activation : {"tanh", "relu", "logistic", "identity"}, default="tanh"
        Hidden activation of the cell "rnn".
    output_activation : {"identity", "logistic", "tanh", "relu", "softmax"}, default="identity"
        The output function f.
    loss : {"squared_error", "log_loss"}, default="squared_error"
        "squared_error" is half the squared distance per step. "log_loss" is the categorical
        cross-entropy with softmax, and the binary one, summed over outputs, with logistic.
    readout : {"every", "last", "mean", "max"}, default="every"
        A loss at every step, as in the lecture; or one for each sequence, where the input of the
        output layer is the hidden state after its last step, the mean of its hidden states, or the
        largest value of each unit. All are of the uppermost layer. Of two directions, "last" is the
        state of each after the last step that it runs: the reverse one ends at the first step.
    learn_initial_state : bool, default=False
        Whether the state before the first step, the same for every sequence, is a parameter; else
        it is 0.
    init : {"orthogonal", "uniform", "identity"}, default="orthogonal"
        Initial weights, see `cbptt.parameters.initialise`. "identity" is for the cell "rnn".
    forget_bias : float, default=1.0
        Is added to the initial biases of the gates that keep the state: an LSTM's forget gates
        (Gers, Schmidhuber & Cummins 2000; Jozefowicz, Zaremba & Sutskever 2015) and a GRU's update
        gates.
    dtype : {"float64", "float32"}, default="float64"
        Precision of theta and of everything computed.
    random_state : None, int or numpy.random.Generator, default=None
        Determines the initial weights.

    Attributes
    ----------
    theta : (P,) all parameters as one vector.
    parameters : mapping of name to view into theta: weight_ih (G M, D) = W0, weight_hh (G M, M) =
        W11, bias_h (G M,) = b0, for a GRU bias_hn (M,), weight_ho (K, M) = W1, bias_o (K,) = b1;
        initial_state (state_width,) if it is learned. G is the number of gates: 1, 3 of a GRU (r,
        z, n), 4 of an LSTM (i, f, g, o), one below the other as in PyTorch. With several layers or
        directions, names end with PyTorch's "_l0", "_l0_reverse", "_l1" and so on.
    state_width : numbers of the state of a sequence: of each layer and direction h, and for an LSTM
        c behind it.
    n_inputs, hidden_size, n_outputs, cell, bidirectional, activation, output_activation, loss_name,
    readout, dtype :
        as passed to the constructor. They cannot be assigned: `astype` and `with_readout` return
        another network.

    Raises
    ------
    ValueError
        For a size below 1, an unknown name, or a loss that cannot be combined with the output
        activation.

    Examples
    --------
    >>> import numpy as np
    >>> import cbptt
    >>> net = cbptt.RNN(2, 3, 1, random_state=0)
    >>> X = [np.ones((4, 2)), np.zeros((2, 2))]
    >>> Y = [np.zeros(4), np.ones(2)]
    >>> net.forward(X).output[1].shape
    (2, 1)
    >>> net.derivatives(X, Y).W11.shape
    (3, 3)
    """

    def __init__(
        self,
        n_inputs: int,
        hidden_size: int | Sequence[int],
        n_outputs: int,
        *,
        cell: str = "rnn",
        bidirectional: bool = False,
        activation: str = "tanh",
        output_activation: str = "identity",
        loss: str = "squared_error",
        readout: str = "every",
        learn_initial_state: bool = False,
        init: str = "orthogonal",
        forget_bias: float = 1.0,
        dtype: DTypeLike = "float64",
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        architecture = Architecture(
            n_inputs=n_inputs,
            hidden_size=hidden_size,  # type: ignore[arg-type]
            n_outputs=n_outputs,
            cell=cell,
            bidirectional=bidirectional,
            activation=activation,
            output_activation=output_activation,
            loss=loss,
            readout=readout,
            learn_initial_state=learn_initial_state,
            dtype=dtype,  # type: ignore[arg-type]
        )
        if init not in INITIALISATIONS:
            raise ValueError(f"RNN got init={init!r}; expected one of {INITIALISATIONS}.")
        if init == "identity" and cell != "rnn":
            raise ValueError(
                f"RNN got init='identity' with cell={cell!r}; expected 'orthogonal' or 'uniform', "
                f"or cell='rnn'."
            )
        layout = architecture.layout
        theta = np.empty(layout.size, architecture.dtype)
        initialise(
            layout.views(theta),
            init,
            _generator(random_state),
            forget_bias=None if cell == "rnn" else forget_bias,
        )
        self._set(architecture, _stored(theta))

    # ---- the description ----------------------------------------------------------------------

    def _set(self, architecture: Architecture, parameters: Parameters) -> None:
        vars(self).pop("_step", None)
        self._architecture = architecture
        self._parameters = parameters
        self._engine = Engine(architecture, parameters)

    @classmethod
    def _of(cls, architecture: Architecture, parameters: Parameters) -> RNN:
        network = cls.__new__(cls)
        network._set(architecture, parameters)
        return network

    @property
    def n_inputs(self) -> int:
        """D, the variables of a step."""
        return self._architecture.n_inputs

    @property
    def cell(self) -> str:
        """What a layer is made of."""
        return self._architecture.cell

    @property
    def bidirectional(self) -> bool:
        """Whether each layer runs in both directions."""
        return self._architecture.bidirectional

    @property
    def hidden_size(self) -> int | tuple[int, ...]:
        """M, the hidden units; of several layers those of each."""
        return self._architecture.hidden_size

    @property
    def state_width(self) -> int:
        """Numbers of the state of a sequence, of all layers and directions."""
        return self._architecture.state_width

    @property
    def n_outputs(self) -> int:
        """K, the outputs."""
        return self._architecture.n_outputs

    @property
    def activation(self) -> str:
        """Hidden activation."""
        return self._architecture.activation

    @property
    def output_activation(self) -> str:
        """The output function f."""
        return self._architecture.output_activation

    @property
    def loss_name(self) -> str:
        """Name of the loss."""
        return self._architecture.loss

    @property
    def readout(self) -> str:
        """Which hidden states the outputs read."""
        return self._architecture.readout

    @property
    def dtype(self) -> np.dtype[Any]:
        """Precision of theta and of everything computed."""
        return self._architecture.dtype

    @property
    def layout(self) -> Layout:
        """Where each parameter lies in theta."""
        return self._architecture.layout

    # ---- parameters ---------------------------------------------------------------------------

    @property
    def theta(self) -> Array:
        """(P,) all parameters as one vector; assigning copies the values in."""
        return self._parameters.share()

    @theta.setter
    def theta(self, values: ArrayLike) -> None:
        expected = f"expected shape ({self.layout.size},)"
        values = read_array(values, caller="RNN", name="theta", ndims=(1,), expected=expected)
        if values.shape != (self.layout.size,):
            raise ValueError(f"RNN got theta of shape {values.shape}; {expected}.")
        self.theta[:] = cast_finite(values, self.dtype, caller="RNN", name="theta")

    @property
    def parameters(self) -> Mapping[str, Array]:
        """Name to view into theta; write into a view to change a parameter."""
        return MappingProxyType(self.layout.views(self.theta))

    def astype(self, dtype: DTypeLike) -> RNN:
        """Return a copy of the network in precision "float32" or "float64"."""
        architecture = replace(self._architecture, dtype=dtype)  # type: ignore[arg-type]
        with np.errstate(over="ignore"):
            theta = self._parameters.theta.astype(architecture.dtype)
        return self._of(architecture, _stored(theta))

    def __getstate__(self) -> dict[str, Any]:
        return {
            "architecture": self._architecture.to_dict(),
            "theta": self._parameters.theta.copy(),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        try:
            architecture = Architecture.from_dict(state["architecture"])
            theta = np.asarray(state["theta"])
        except (KeyError, TypeError, ValueError) as cause:
            raise ValueError(
                f"RNN got a pickled state that does not describe a network ({cause}); fit or make "
                f"the network again."
            ) from cause
        if theta.shape != (architecture.layout.size,) or theta.dtype != architecture.dtype:
            raise ValueError(
                f"RNN got a pickled theta of shape {theta.shape} and dtype {theta.dtype}; "
                f"expected shape ({architecture.layout.size},) and {architecture.dtype}, as its "
                f"architecture says. Fit or make the network again."
            )
        self._set(architecture, _stored(theta))

    def __repr__(self) -> str:
        return (
            f"RNN(n_inputs={self.n_inputs}, hidden_size={self.hidden_size}, "
            f"n_outputs={self.n_outputs}, cell={self.cell!r}, "
            f"bidirectional={self.bidirectional}, activation={self.activation!r}, "
            f"output_activation={self.output_activation!r}, loss={self.loss_name!r}, "
            f"readout={self.readout!r}, dtype={self.dtype.name!r})"
        )

    # ---- forward ------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        """What runs checked sequences through the network, see `cbptt.engine`."""
        return self._engine

    @property
    def _every(self) -> bool:
        return self.readout == "every"

    def forward(self, X: Any, h0: ArrayLike | None = None) -> Forward:
        """Run the network over sequences.

        Parameters
        ----------
        X : list, tuple or 1-D object array of (T_i, D); (n, T, D); (n, T) with D = 1; or Ragged
        h0 : (n, state_width) initial states, default 0

        Returns
        -------
        Forward
            With hidden, output and state.

        Raises
        ------
        ValueError, TypeError
            Where X or h0 does not fit; the message names the item.
        """
        if h0 is None and (arrays := self._engine.predict_arrays(X)) is not None:
            return Forward(*arrays)
        sequences, states = self._checked(X, h0)
        found = self._engine.predict(sequences, states, states=True)
        return Forward(
            hidden=sequences.shape_like(found.hidden),
            output=sequences.shape_like(found.outputs) if self._every else found.outputs,
            state=found.final,
        )

    # ---- live sequences -----------------------------------------------------------------------

    def live(self) -> Live:
        """Return the network as something that takes one step of sequences at a time.

        ``out, h = live.step(x, h)`` takes x (n, D) and states h (n, state_width) and returns h2
        (n, K) and the new states, whatever the readout; arrays are C-contiguous and of the
        network's precision. A change of the parameters is followed by the next step.

        Raises
        ------
        ValueError
            If the network is bidirectional.
        """
        self._architecture.check_causal("step", "RNN")
        return self._engine.live()

    @cached_property
    def _step(self) -> Callable[[Any, Any], tuple[Array, Array] | None]:
        """`Live.step`, kept for later calls; it returns None if outputs read all states."""
        if self.readout in ("mean", "max"):
            return lambda x, h: None
        return self.live().step

    def with_readout(self, readout: str) -> RNN:
        """Return a network of the same parameters, not copied, with another readout."""
        return self._of(replace(self._architecture, readout=readout), self._parameters)

    # ---- loss and derivatives -----------------------------------------------------------------

    def loss(
        self,
        X: Any,
        Y: Any,
        sample_weight: Any = None,
        reduction: str = "mean",
        h0: ArrayLike | None = None,
    ) -> float:
        """Return the loss of the outputs against targets.

        Parameters
        ----------
        X : sequences, as in `forward`
        Y : targets, per step with readout "every", else per sequence
            Integer classes for softmax, else K numbers each (or plain numbers where K is 1).
        sample_weight : None, (n,) one per sequence, or, with readout "every", one per step
            A place with weight 0 is unlabelled: its target is not read.
        reduction : {"mean", "sum"}, default="mean"
            Over the total weight, or, as in the lecture, the plain sum.
        h0 : (n, state_width) initial states, default 0

        Raises
        ------
        ValueError, TypeError
            Where an argument does not fit; the message names the item.
        """
        shard = self.shard(X, Y, sample_weight, h0)
        divisor = self._divisor(shard.weight_sum, reduction)
        return self._engine.evaluate(shard)[0] / divisor

    def loss_and_gradients(
        self,
        X: Any,
        Y: Any,
        sample_weight: Any = None,
        reduction: str = "mean",
        h0: ArrayLike | None = None,
        *,
        bptt_steps: int | None = None,
        bptt_stride: int | None = None,
        checkpoint: int | str | None = None,
        inputs: bool = False,
    ) -> tuple[float, dict[str, Any]]:
        """Return the loss and its gradient by the parameters, and by inputs and initial states.

        Parameters
        ----------
        X, Y, sample_weight, reduction, h0 : as in `loss`
        bptt_steps : int or None, default=None
            Let the gradient of a loss flow back through at most this many steps (Williams & Peng
            1990, BPTT(h; h')); None is the exact gradient, through all steps. The states, and so
            the loss, are those of the whole sequences.
        bptt_stride : int or None, default=None
            Propagate back the losses of this many steps together, at most bptt_steps; None is
            bptt_steps. Of the steps of a stride, the loss of the last flows back through bptt_steps
            steps, and that of the first through bptt_steps - bptt_stride + 1. With 1 all losses
            flow back equally far.
        checkpoint : int, "auto" or None, default=None
            Keep only the hidden states of every k-th step, with k = checkpoint, or sqrt(T) for
            "auto", and compute those between them again in the backward pass (Chen et al. 2016;
            Gruslys et al. 2016). The gradient is bitwise identical. The memory for states then
            grows with sqrt(T) instead of T, and the time grows by that of a forward pass. k is
            rounded to whole chunks of a few hundred rows, in which the derivatives are summed. None
            keeps all.
        inputs : bool, default=False
            Whether the derivatives by the inputs and the initial states are computed too. Not
            together with bptt_steps.

        Returns
        -------
        loss : float
        gradients : dict
            The parameters' names with arrays of their shapes. With `inputs` also "h0" (n,
            state_width), and "X" in X's form, with (T_i, D) per sequence also where X has (T_i,).

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit; the message names the item.
        """
        is_plain = not inputs and sample_weight is h0 is bptt_steps is bptt_stride is None
        if is_plain and checkpoint is None:
            found = self._engine.gradient_of_arrays(X, Y)
            if found is not None:
                loss_sum, weight_sum, gradient = found
                divisor = self._divisor(weight_sum, reduction)
                np.divide(gradient, divisor, out=gradient)
                return loss_sum / divisor, self.layout.views(gradient)
        truncation = check_truncation(
            bptt_steps,
            bptt_stride,
            readout=self.readout,
            learn_initial_state=self._architecture.learn_initial_state,
            bidirectional=self.bidirectional,
            caller="RNN",
        )
        check_checkpoint(checkpoint, "RNN")
        if inputs and truncation is not None:
            raise ValueError(
                f"RNN got inputs=True with bptt_steps={bptt_steps}; derivatives by the inputs are "
                f"computed through all steps only, so expected bptt_steps=None."
            )
        shard = self.shard(X, Y, sample_weight, h0)
        divisor = self._divisor(shard.weight_sum, reduction)
        result = self._engine.gradient(
            shard, inputs=inputs, checkpoint=checkpoint, truncation=truncation
        )
        np.divide(result.gradient, divisor, out=result.gradient)
        gradients: dict[str, Any] = dict(self.layout.views(result.gradient))
        if inputs:
            for array in (result.dh0, result.dx):
                np.divide(array, divisor, out=array)
            gradients["h0"] = result.dh0
            dx = result.dx[:, 0] if shard.sequences.form == "2d" else result.dx
            gradients["X"] = shard.sequences.shape_like(dx)
        return result.loss_sum / divisor, gradients

    def derivatives(
        self, X: Any, Y: Any, sample_weight: Any = None, h0: ArrayLike | None = None
    ) -> Derivatives:
        """Return the lecture's five derivatives, in its layout, summed over steps and sequences.

        Parameters are those of `loss`. "All 5 derivatives will be transposed to obtain the
        gradients used in gradient descent."

        Raises
        ------
        ValueError
            If the network is not the lecture's, of one layer, one direction and the cell "rnn".
        """
        if self.cell != "rnn" or self.bidirectional or isinstance(self.hidden_size, tuple):
            raise ValueError(
                f"RNN.derivatives got a network with cell={self.cell!r}, hidden_size="
                f"{self.hidden_size} and bidirectional={self.bidirectional}; the five derivatives "
                f"are those of the lecture's network, of one layer, one direction and the cell "
                f"'rnn'. Use loss_and_gradients for the gradients of others."
            )
        _, gradients = self.loss_and_gradients(X, Y, sample_weight, "sum", h0)
        return Derivatives(
            W1=gradients["weight_ho"].T,
            b1=gradients["bias_o"][None, :],
            W11=gradients["weight_hh"].T,
            W0=gradients["weight_ih"].T,
            b0=gradients["bias_h"][None, :],
        )

    def check_gradients(
        self,
        X: Any,
        Y: Any,
        sample_weight: Any = None,
        h0: ArrayLike | None = None,
        *,
        step: float = 1e-6,
        max_entries: int | None = None,
        random_state: int | np.random.Generator | None = 0,
    ) -> dict[str, float]:
        """Compare the gradients with central differences of the loss.

        The differences are always taken in float64, so that a float32 network is compared with
        the true derivative, up to its own rounding.

        Parameters
        ----------
        X, Y, sample_weight, h0 : as in `loss`
        step : float, default=1e-6
            Change of a parameter to either side; the error of the difference is of order step^2.
        max_entries : int or None, default=None
            Check at most this many randomly chosen entries of each parameter; None checks all.
        random_state : source of the choice, default=0

        Returns
        -------
        dict
            Parameter name to the largest difference, relative to the largest entry compared.
        """
        _, gradients = self.loss_and_gradients(X, Y, sample_weight, "mean", h0)
        exact = self.astype(np.float64)
        rng = np.random.default_rng(random_state)
        errors = {}
        for name, view in exact.parameters.items():
            entries = view.reshape(-1)
            chosen = np.arange(entries.size)
            if max_entries is not None and max_entries < entries.size:
                chosen = rng.choice(entries.size, max_entries, replace=False)
            numeric = np.empty(len(chosen))
            for i, entry in enumerate(chosen):
                value = entries[entry]
                entries[entry] = value + step
                above = exact.loss(X, Y, sample_weight, "mean", h0)
                entries[entry] = value - step
                below = exact.loss(X, Y, sample_weight, "mean", h0)
                entries[entry] = value
                numeric[i] = (above - below) / (2 * step)
            analytic = gradients[name].reshape(-1)[chosen].astype(np.float64)
            largest = np.abs([analytic, numeric]).max()
            difference = np.abs(analytic - numeric).max()
            errors[name] = float(difference / largest) if largest != 0 else 0.0  # NaN is no 0
        return errors

    def shard(
        self, X: Any, Y: Any, sample_weight: Any = None, h0: ArrayLike | None = None
    ) -> Shard:
        """Check sequences and their targets, for `Engine.gradient`. Parameters as in `loss`."""
        sequences, states = self._checked(X, h0)
        targets = self.check_targets(
            flatten_targets(Y, sequences, self.readout, name="Y", caller="RNN"),
            flatten_weights(sample_weight, sequences, self.readout, caller="RNN"),
            sequences,
        )
        return Shard(sequences, targets, states)

    # ---- the edge -----------------------------------------------------------------------------

    def _checked(self, X: Any, h0: ArrayLike | None) -> tuple[Sequences, Array | None]:
        """Return checked sequences and their initial states, if there are any."""
        sequences = check_sequences(X, dtype=self.dtype, caller="RNN", n_features=self.n_inputs)
        if h0 is None:
            return sequences, None
        shape = (len(sequences), self._architecture.state_width)
        expected = f"expected shape {shape}, a row of state_width values for each sequence"
        given = read_array(h0, caller="RNN", name="h0", ndims=(2,), expected=expected)
        if given.shape != shape:
            raise ValueError(f"RNN got h0 of shape {given.shape}; {expected}.")
        return sequences, cast_finite(given, self.dtype, caller="RNN", name="h0")

    def check_targets(
        self,
        flat: NDArray[Any],
        weights: Array,
        sequences: Sequences,
        *,
        name: str = "Y",
        caller: str = "RNN",
    ) -> Targets:
        """Check flat targets and weights, see `cbptt.losses.check_targets`."""
        return check_targets(
            flat,
            weights,
            sequences,
            n_outputs=self.n_outputs,
            output_activation=self.output_activation,
            loss=self.loss_name,
            readout=self.readout,
            name=name,
            caller=caller,
        )

    def _divisor(self, weight_sum: float, reduction: str) -> float:
        if reduction == "sum":
            return 1.0
        if reduction != "mean":
            raise ValueError(f"RNN got reduction={reduction!r}; expected 'mean' or 'sum'.")
        if weight_sum == 0:
            raise ValueError(
                "RNN got a total weight of 0 in sample_weight, so there is no mean; label at "
                "least one step, or use reduction='sum'."
            )
        return weight_sum


def _stored(theta: Array) -> Parameters:
    """Copy parameters (P,) into memory that keeps its place and its size.

    An array that owned the memory could be resized, and the views of it would point nowhere.
    """
    return Parameters(np.frombuffer(bytearray(np.ascontiguousarray(theta)), theta.dtype))


def _generator(random_state: int | np.random.Generator | None) -> np.random.Generator:
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError):
        raise ValueError(
            f"RNN got random_state={random_state!r}; expected None, an integer from 0 up, or a "
            f"numpy.random.Generator."
        ) from None
