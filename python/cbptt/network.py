"""The recurrent network as an object: every quantity of the lecture, by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from cbptt import _bptt
from cbptt._kernels import FUNCTIONS
from cbptt._live import Live, Parameters
from cbptt._losses import LOSSES, evaluate
from cbptt._plan import READOUTS as READOUT_CODES
from cbptt._plan import Network
from cbptt.architecture import Architecture, check_blas_size
from cbptt.data.reading import cast_finite, read_array
from cbptt.data.sequences import Sequences, check_sequences
from cbptt.engine.batches import Batches
from cbptt.engine.results import Derivatives, Dropout, Forward, Shard, ShardResult
from cbptt.engine.scratch import Scratch, check_checkpoint, make_scratch
from cbptt.engine.threads import in_team, one_blas_thread
from cbptt.engine.truncation import Truncation, check_truncation
from cbptt.losses import Targets, check_targets, flatten_targets, flatten_weights
from cbptt.parameters import INITIALISATIONS, Layout, initialise

__all__ = ["RNN", "Derivatives", "Forward", "Live", "Shard", "ShardResult"]

Array = NDArray[np.floating]

# What takes the products of the recurrence and of the hidden derivatives: the package's own
# kernels, or BLAS.
PRODUCTS = os.environ.get("CBPTT_PRODUCTS", "kernels")
if PRODUCTS not in ("kernels", "blas"):
    raise ImportError(f"CBPTT_PRODUCTS={PRODUCTS!r} is unknown; set it to kernels or blas")


class RNN:
    """Single-hidden-layer recurrent network, with exact backpropagation through time.

    The network of the lecture: ``a1(t) = W0 x(t) + W11 h1(t-1) + b0``, ``h1(t) = tanh(a1(t))``,
    ``a2(t) = W1 h1(t) + b1``, ``h2(t) = f(a2(t))``, for sequences of any lengths.

    Parameters
    ----------
    n_inputs, hidden_size, n_outputs : int
        The lecture's D, M and K.
    activation : {"tanh", "relu", "logistic", "identity"}, default="tanh"
        Hidden activation.
    output_activation : {"identity", "logistic", "tanh", "relu", "softmax"}, default="identity"
        The output function f.
    loss : {"squared_error", "log_loss"}, default="squared_error"
        "squared_error" is half the squared distance per step. "log_loss" is the categorical
        cross-entropy with softmax, and the binary one, summed over outputs, with logistic.
    readout : {"every", "last", "mean", "max"}, default="every"
        A loss at every step, as in the lecture; or one for each sequence, where the input of the
        output layer is the hidden state after its last step, the mean of its hidden states, or the
        largest value of each unit.
    learn_initial_state : bool, default=False
        Whether h_0, the same for every sequence, is a parameter; else it is 0.
    init : {"orthogonal", "uniform", "identity"}, default="orthogonal"
        Initial weights, see `cbptt.parameters.initialise`.
    dtype : {"float64", "float32"}, default="float64"
        Precision of theta and of everything computed.
    random_state : None, int or numpy.random.Generator, default=None
        Determines the initial weights.

    Attributes
    ----------
    theta : (P,) all parameters as one vector.
    parameters : mapping of name to view into theta: weight_ih (M, D) = W0, weight_hh (M, M) = W11,
        bias_h (M,) = b0, weight_ho (K, M) = W1, bias_o (K,) = b1; initial_state (M,) where it is
        learned.
    n_inputs, hidden_size, n_outputs, activation, output_activation, loss_name, readout, dtype :
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
        hidden_size: int,
        n_outputs: int,
        *,
        activation: str = "tanh",
        output_activation: str = "identity",
        loss: str = "squared_error",
        readout: str = "every",
        learn_initial_state: bool = False,
        init: str = "orthogonal",
        dtype: DTypeLike = "float64",
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        architecture = Architecture(
            n_inputs=n_inputs,
            hidden_size=hidden_size,
            n_outputs=n_outputs,
            activation=activation,
            output_activation=output_activation,
            loss=loss,
            readout=readout,
            learn_initial_state=learn_initial_state,
            dtype=dtype,  # type: ignore[arg-type]
        )
        if init not in INITIALISATIONS:
            raise ValueError(f"RNN got init={init!r}; expected one of {INITIALISATIONS}.")
        layout = architecture.layout
        theta = np.empty(layout.size, architecture.dtype)
        initialise(layout.views(theta), init, _generator(random_state))
        self._set(architecture, _stored(theta))

    # ---- the description ----------------------------------------------------------------------

    def _set(self, architecture: Architecture, parameters: Parameters) -> None:
        vars(self).pop("_step", None)
        self._kept: dict[bool, tuple[Any, Scratch | None]] = {}
        self._architecture = architecture
        self._parameters = parameters
        self._core = _compiled(architecture)
        nothing = np.empty((0, 0), architecture.dtype)
        self._no_dropout = Dropout(nothing, nothing)

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
    def hidden_size(self) -> int:
        """M, the hidden units."""
        return self._architecture.hidden_size

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
            f"n_outputs={self.n_outputs}, activation={self.activation!r}, "
            f"output_activation={self.output_activation!r}, loss={self.loss_name!r}, "
            f"readout={self.readout!r}, dtype={self.dtype.name!r})"
        )

    # ---- forward ------------------------------------------------------------------------------

    @property
    def _every(self) -> bool:
        return self.readout == "every"

    def _forward(
        self,
        sequences: Sequences,
        h0: Array,
        *,
        everything: bool = False,
        activated: bool = True,
        scratch: Scratch | None = None,
        n_threads: int = 1,
    ) -> tuple[Array, Array, Array]:
        """Return hidden (steps, M), outputs (R, K) and final states (n, M), in X's order.

        The first and the last are empty without `everything`. Without `activated` the outputs are
        a2. In addition, at most a chunk of a few hundred steps is kept.
        """
        self._check_width(sequences)
        own, dtype, n = self._architecture, self._parameters.theta.dtype, len(sequences)
        M, K, steps = own.hidden_size, own.n_outputs, sequences.n_steps
        kept = None
        if scratch is None:
            scratch, kept = self._borrow(sequences, n_threads, backward=False)
        scratch.check(self._core, sequences, backward=False)
        hidden = np.empty((steps if everything else 0, M), dtype)
        final = np.empty((n if everything else 0, M), dtype)
        outputs = np.empty((steps if own.readout == "every" else n, K), dtype)
        scratch.acquire()
        try:
            with one_blas_thread(self._core.uses_blas):
                in_team(
                    min(n_threads, scratch.n_threads),
                    lambda team, thread: _bptt.forward(
                        team,
                        thread,
                        self._core,
                        scratch.plan,
                        scratch.arrays,
                        hidden,
                        outputs,
                        final,
                        self._parameters.theta,
                        sequences.values,
                        sequences.offsets[:-1],
                        sequences.offsets[1:],
                        h0,
                        scratch.arrays["everyone"],
                        activated,
                    ),
                    self._core.uses_blas,
                )
        finally:
            scratch.release()
        if kept is not None:
            self._kept[False] = kept
        return hidden, outputs, final

    def forward(self, X: Any, h0: ArrayLike | None = None) -> Forward:
        """Run the network over sequences.

        Parameters
        ----------
        X : list, tuple or 1-D object array of (T_i, D); (n, T, D); (n, T) with D = 1; or Ragged
        h0 : (n, M) initial hidden state of each sequence, default 0

        Returns
        -------
        Forward
            With hidden, output and state.

        Raises
        ------
        ValueError, TypeError
            Where X or h0 does not fit; the message names the item.
        """
        sequences, states = self._checked(X, h0)
        hidden, output, final = self._forward(sequences, states, everything=True)
        return Forward(
            hidden=sequences.shape_like(hidden),
            output=sequences.shape_like(output) if self._every else output,
            state=final,
        )

    def outputs(self, sequences: Sequences, n_threads: int = 1) -> Array:
        """Return h2 for checked sequences: (steps, K) with readout "every", else (n, K).

        The memory for it grows with the outputs and not with the hidden states.
        """
        return self._forward(sequences, self.no_states, n_threads=n_threads)[1]

    def states(self, sequences: Sequences, n_threads: int = 1) -> tuple[Array, Array]:
        """Return h1 for checked sequences: of all steps (steps, M), and of the last ones (n, M)."""
        hidden, _, final = self._forward(
            sequences, self.no_states, everything=True, n_threads=n_threads
        )
        return hidden, final

    # ---- live sequences -----------------------------------------------------------------------

    def start(self, n: int) -> Array:
        """Return the states (n, M) before the first step: 0, or what is learned."""
        states = np.zeros((n, self.hidden_size), self.dtype)
        if self._architecture.learn_initial_state:
            states[:] = self.layout.views(self._parameters.theta)["initial_state"]
        return states

    def live(self) -> Live:
        """Return the network as something that takes one step of sequences at a time.

        ``out, h = live.step(x, h)`` takes x (n, D) and h (n, M) and returns h2 (n, K) and the new
        h, whatever the readout; arrays are C-contiguous and of the network's precision. A change of
        the parameters is followed by the next step.
        """
        return Live(self._core, self._parameters, np.empty, self.dtype)

    @cached_property
    def _step(self) -> Callable[[Any, Any], tuple[Array, Array] | None]:
        """`Live.step`, kept for later calls; it returns None where outputs read all states."""
        if self.readout in ("mean", "max"):
            return lambda x, h: None
        return self.live().step

    def with_readout(self, readout: str) -> RNN:
        """Return a network of the same parameters, not copied, with another readout."""
        return self._of(replace(self._architecture, readout=readout), self._parameters)

    def continued(self, sequences: Sequences, states: Array) -> tuple[Array, Array]:
        """Return h2 of every step (steps, K) of checked sequences that go on from states (n, M),
        and the states after them.
        """
        network = self if self._every else self.with_readout("every")
        _, outputs, final = network._forward(sequences, states, everything=True)
        return outputs, final

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
        h0 : (n, M) initial hidden states, default 0

        Raises
        ------
        ValueError, TypeError
            Where an argument does not fit; the message names the item.
        """
        shard = self.shard(X, Y, sample_weight, h0)
        divisor = self._divisor(shard, reduction)
        return self.evaluate(shard)[0] / divisor

    def evaluate(self, shard: Shard, n_threads: int = 1) -> tuple[float, Array]:
        """Return the loss summed over checked sequences, and their outputs h2 as `outputs` does."""
        _, z, _ = self._forward(shard.sequences, shard.h0, activated=False, n_threads=n_threads)
        f_out, loss = FUNCTIONS[self.output_activation], LOSSES[self.loss_name]
        targets = shard.targets
        return evaluate(z, targets.dense(), targets.weights, f_out, loss, True), z

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
    ) -> tuple[float, dict[str, Any]]:
        """Return the loss and its gradient by everything it depends on.

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

        Returns
        -------
        loss : float
        gradients : dict
            The parameters' names with arrays of their shapes; "h0" (n, M); "X" in X's form, with
            (T_i, D) per sequence also where X has (T_i,). With bptt_steps the parameters only.
        """
        truncation = check_truncation(
            bptt_steps,
            bptt_stride,
            readout=self.readout,
            learn_initial_state=self._architecture.learn_initial_state,
            caller="RNN",
        )
        check_checkpoint(checkpoint, "RNN")
        shard = self.shard(X, Y, sample_weight, h0)
        divisor = self._divisor(shard, reduction)
        if truncation is not None:
            result = self.run_truncated(shard, truncation, checkpoint=checkpoint)
            result.gradient[...] /= divisor
            return result.loss_sum / divisor, dict(self.layout.views(result.gradient))
        scratch, kept = self._borrow(shard.sequences, 1, backward=True, checkpoint=checkpoint)
        result = self.run(shard, scratch, inputs=True)
        gradient = result.gradient / divisor  # a copy, as the scratch is kept for the next call
        self._kept[True] = kept
        for array in (result.dh0, result.dx):
            array /= divisor

        gradients: dict[str, Any] = dict(self.layout.views(gradient))
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
        """
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

    def run(
        self,
        shard: Shard,
        scratch: Scratch | None = None,
        n_threads: int = 1,
        *,
        inputs: bool = False,
        dropout: Dropout | None = None,
    ) -> ShardResult:
        """Run sequences forward and backward.

        Parameters
        ----------
        shard : Shard
        scratch : Scratch, default=None
            From `scratch`, for these sequences; it is overwritten, and with it the gradient of the
            result. By default new memory is allocated.
        n_threads : int, default=1
            Threads that may take part; the result is the same bits for any number.
        inputs : bool, default=False
            Whether the derivatives by the inputs and by the initial states are wanted.
        dropout : Dropout, default=None
            Masks to run with.

        Returns
        -------
        ShardResult
            The loss and the gradient as plain sums over the shard's sequences: those of a batch
            are the sums of its shards'.
        """
        sequences = shard.sequences
        self._check_width(sequences)
        n = len(sequences)
        masks = dropout or self._no_dropout
        if scratch is None:
            scratch = self.scratch(sequences, n_threads=n_threads, masked=masks.recurrent.size > 0)
        scratch.check(self._core, sequences, backward=True, masked=masks.recurrent.size > 0)
        own, dtype = self._architecture, self._parameters.theta.dtype
        dh0 = np.empty((n if inputs else 0, own.hidden_size), dtype)
        dx = np.empty((sequences.n_steps if inputs else 0, own.n_inputs), dtype)
        totals = np.zeros(5)
        uses_blas = self._core.uses_blas or inputs
        theta = self._parameters.theta
        batches = Batches(self._core, theta, shard, scratch, masks, n_threads, uses_blas=uses_blas)
        with one_blas_thread(uses_blas):
            batches.run(scratch.arrays["everyone"], n, totals, dh0=dh0, dx=dx)
        if inputs and masks.inputs.size:
            dx *= np.repeat(masks.inputs, sequences.lengths, axis=0)
        return ShardResult(float(totals[0]), shard.weight_sum, scratch.gradient, dh0, dx)

    def run_truncated(
        self,
        shard: Shard,
        truncation: Truncation,
        n_threads: int = 1,
        *,
        checkpoint: int | str | None = None,
    ) -> ShardResult:
        """Run sequences forward and backward, no gradient flowing further than it is allowed to.

        Parameters
        ----------
        shard : Shard
        truncation : Truncation
            From `cbptt.engine.truncation.check_truncation`.
        n_threads : int, default=1
        checkpoint : int, "auto" or None, default=None
            See `loss_and_gradients`.

        Returns
        -------
        ShardResult
            As of `run`; dh0 and dx are left out.
        """
        sequences, n = shard.sequences, len(shard.sequences)
        self._check_width(sequences)
        scratch = self.scratch(
            sequences, n_threads=n_threads, truncation=truncation, checkpoint=checkpoint
        )
        theta = self._parameters.theta
        batches = Batches(
            *(self._core, theta, shard, scratch, self._no_dropout, n_threads, truncation),
            every=self._every,
            uses_blas=self._core.uses_blas,
        )
        totals = np.zeros(5)
        with one_blas_thread(self._core.uses_blas):
            batches.run(scratch.arrays["everyone"], n, totals)
        nothing = self._no_dropout.inputs
        gradient = batches.gradient_sum.astype(self.dtype)
        return ShardResult(float(totals[0]), shard.weight_sum, gradient, nothing, nothing)

    def run_forward(
        self, shard: Shard, scratch: Scratch | None = None, n_threads: int = 1
    ) -> Array:
        """Run sequences forward only, in memory from `forward_scratch`.

        Returns
        -------
        output : h2, (steps, K) with readout "every", else (n, K)
        """
        return self._forward(shard.sequences, shard.h0, scratch=scratch, n_threads=n_threads)[1]

    def scratch(
        self,
        sequences: Sequences,
        batch_size: int | None = None,
        n_threads: int = 1,
        *,
        masked: bool = False,
        truncation: Truncation | None = None,
        checkpoint: int | str | None = None,
    ) -> Scratch:
        """Ask for the memory that batches are run in, forward and back.

        Parameters
        ----------
        sequences : those that batches are drawn from, as of a `Shard`
        batch_size : sequences of a batch, default all
        n_threads : threads that may take part
        masked : whether there is to be dropout in the recurrence
        truncation : the windows that batches are run in
        checkpoint : which states are kept, see `loss_and_gradients`
        """
        return self._scratch(
            sequences,
            batch_size,
            n_threads,
            backward=True,
            masked=masked,
            longest=None if truncation is None else truncation.steps,
            checkpoint=checkpoint,
        )

    def forward_scratch(self, sequences: Sequences, n_threads: int = 1) -> Scratch:
        """Ask for the memory that these sequences are run forward in."""
        return self._scratch(sequences, None, n_threads, backward=False)

    def _borrow(
        self,
        sequences: Sequences,
        n_threads: int,
        *,
        backward: bool,
        checkpoint: int | str | None = None,
    ) -> tuple[Scratch, tuple[Any, Scratch]]:
        """Return scratch for one call, and what to put into `_kept` after it.

        The scratch of the last call serves again where lengths and options are the same. It is
        taken out of `_kept` meanwhile, so that a call in another thread allocates its own. It is
        kept without its sequences, so that these are not kept alive.
        """
        key = n_threads, checkpoint, sequences.offsets.tobytes()
        of_last, blank = self._kept.pop(backward, (None, None))
        if blank is not None and of_last == key:
            return replace(blank, sequences=sequences), (key, blank)
        scratch = self._scratch(
            sequences, None, n_threads, backward=backward, checkpoint=checkpoint
        )
        return scratch, (key, replace(scratch, sequences=None))

    def _scratch(
        self,
        sequences: Sequences,
        batch_size: int | None,
        n_threads: int,
        *,
        backward: bool,
        masked: bool = False,
        longest: int | None = None,
        checkpoint: int | str | None = None,
    ) -> Scratch:
        check_blas_size(sequences.n_steps, f"X with {sequences.n_steps} steps in all")
        return make_scratch(
            self._core,
            self.layout.size,
            sequences,
            min(len(sequences), batch_size or len(sequences)),
            n_threads,
            self.dtype,
            backward=backward,
            masked=masked,
            lengths=None if longest is None else np.minimum(sequences.lengths, longest),
            checkpoint=checkpoint,
        )

    def shard(
        self, X: Any, Y: Any, sample_weight: Any = None, h0: ArrayLike | None = None
    ) -> Shard:
        """Check sequences and their targets, for `run`. Parameters as in `loss`."""
        sequences, states = self._checked(X, h0)
        targets = self.check_targets(
            flatten_targets(Y, sequences, self.readout, name="Y", caller="RNN"),
            flatten_weights(sample_weight, sequences, self.readout, caller="RNN"),
            sequences,
        )
        return Shard(sequences, targets, states)

    # ---- the edge -----------------------------------------------------------------------------

    @property
    def no_states(self) -> Array:
        """No initial states: 0, or what is learned."""
        return np.empty((0, self.hidden_size), self.dtype)

    def _checked(self, X: Any, h0: ArrayLike | None) -> tuple[Sequences, Array]:
        """Return checked sequences and their initial states."""
        sequences = check_sequences(X, dtype=self.dtype, caller="RNN", n_features=self.n_inputs)
        if h0 is None:
            return sequences, self.no_states
        shape = (len(sequences), self.hidden_size)
        expected = f"expected shape {shape}, one row of hidden_size values per sequence"
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

    def _check_width(self, sequences: Sequences) -> None:
        """Refuse checked sequences that are those of another network."""
        values, own = sequences.values, self._architecture
        if values.shape[1:] != (own.n_inputs,) or values.dtype != own.dtype:
            raise ValueError(
                f"RNN got sequences with values of shape {values.shape} and dtype {values.dtype}; "
                f"expected (steps, {self.n_inputs}) and {self.dtype}, as n_inputs and dtype say."
            )

    def _divisor(self, shard: Shard, reduction: str) -> float:
        if reduction == "sum":
            return 1.0
        if reduction != "mean":
            raise ValueError(f"RNN got reduction={reduction!r}; expected 'mean' or 'sum'.")
        if shard.weight_sum == 0:
            raise ValueError(
                "RNN got a total weight of 0 in sample_weight, so there is no mean; label at "
                "least one step, or use reduction='sum'."
            )
        return shard.weight_sum


def _stored(theta: Array) -> Parameters:
    """Copy parameters (P,) into memory that keeps its place and its size.

    An array that owned the memory could be resized, and the views of it would point nowhere.
    """
    return Parameters(np.frombuffer(bytearray(np.ascontiguousarray(theta)), theta.dtype))


def _compiled(architecture: Architecture) -> Network:
    """Return the architecture as the compiled code reads it."""
    return Network(
        architecture.n_inputs,
        architecture.hidden_size,
        architecture.n_outputs,
        architecture.layout.size,
        {name: offset for name, (offset, _) in architecture.layout.entries.items()},
        FUNCTIONS[architecture.activation],
        FUNCTIONS[architecture.output_activation],
        LOSSES[architecture.loss],
        READOUT_CODES[architecture.readout],
        architecture.dtype.itemsize,
        PRODUCTS == "kernels",
    )


def _generator(random_state: int | np.random.Generator | None) -> np.random.Generator:
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError):
        raise ValueError(
            f"RNN got random_state={random_state!r}; expected None, an integer from 0 up, or a "
            f"numpy.random.Generator."
        ) from None
