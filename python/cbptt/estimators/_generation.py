"""Generation: a classifier of steps that predicts the next symbol draws sequences of symbols."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbptt.data.integers import read_integer
from cbptt.data.ragged import Ragged
from cbptt.data.reading import finite_rule, read_array, spell
from cbptt.data.sequences import Sequences
from cbptt.estimators._parameters import make_generator
from cbptt.estimators._snapshot import Snapshot
from cbptt.network import RNN
from cbptt.rollout import draw_symbols

_START = "expected a list or 1-D array of at least one label, or a list of such"


class Generating(Snapshot):
    """What a classifier of steps draws, symbol by symbol, each of which is its next input."""

    network_: RNN
    classes_: NDArray[Any]
    _is_multilabel: bool
    _replicates: bool
    _fill: NDArray[np.float64] | None

    def sample(
        self,
        n_steps: int,
        start: Any,
        *,
        temperature: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
        encoding: Any = None,
    ) -> NDArray[Any]:
        """Draw symbols, each from the probabilities predicted after the one before.

        For a model that was trained to predict the next symbol: the input of a step is a symbol,
        and y is the symbol that follows (Sutskever, Martens & Hinton 2011, Generating text with
        recurrent neural networks; Graves 2013, Generating sequences with recurrent neural
        networks).

        Parameters
        ----------
        n_steps : int
            Number of symbols to draw, at least 1.
        start : (P,) list or array of labels, or n of them, of any lengths
            The symbols before, as labels of y; at least one. The network reads them, starting from
            its initial state, and the first symbol drawn follows the last of them.
        temperature : float, default=1.0
            Divides the logits a2 before the softmax: below 1 probable symbols become more probable,
            above 1 less probable. 0 chooses the most probable symbol, the first one of equals,
            without randomness.
        random_state : int, RandomState or None, default=None
            Source of the draws; an int gives the same symbols every time.
        encoding : (n_classes, D) array, or (n_classes,) where D is 1, default=None
            The input that represents each class; rows in the order of `classes_`. None is one-hot:
            input k is 1 for class k, and 0 for the others.

        Returns
        -------
        symbols : (n_steps,) ndarray of labels; (n, n_steps) for n sequences
            Without those of `start`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            Where an argument does not fit, as a label that is none of `classes_`; where the network
            has not as many inputs as classes and there is no encoding; where the model was fitted
            on several labels at once, on one label for each sequence, or with missing="mask": then
            the prediction of a step is not its next input.
        FloatingPointError
            If the states overflow, as those of relu may.

        Examples
        --------
        >>> import numpy as np
        >>> from cbptt import RNNSequenceClassifier
        >>> text = np.array(list("abac" * 20))
        >>> X = text[:, None] == np.unique(text)  # (80, 3), one-hot
        >>> model = RNNSequenceClassifier(8, learning_rate_init=0.05, tol=0.01, random_state=0)
        >>> model = model.fit([X[:-1]], [text[1:]])
        >>> "".join(model.sample(8, ["a", "b"], temperature=0))
        'acabacab'
        """
        model = self._snapshot()
        caller = f"{type(self).__name__}.sample"
        model._check_tells_inputs(caller)
        n_steps = read_integer(n_steps, caller=caller, name="n_steps")
        temperature = _check_temperature(temperature, caller)
        sequences, is_single = _read_start(start, caller)
        past = [model._classes_by_number(labels, name, caller) for name, labels in sequences]
        codes = model._read_encoding(encoding, caller)
        rng = make_generator(random_state, caller)

        states = model._states_before_last(past, codes)
        last = codes[[numbers[-1] for numbers in past]]
        symbols = draw_symbols(model.network_, last, states, codes, n_steps, temperature, rng)
        if symbols.min() < 0:
            raise _out_of_range(symbols, model.network_, caller)
        drawn = model.classes_[symbols]
        return drawn[0] if is_single else drawn

    # ---- the parts ----------------------------------------------------------------------------

    def _check_tells_inputs(self, caller: str) -> None:
        """Refuse models whose classes cannot be what they read next."""
        if self._is_multilabel:
            raise ValueError(
                f"{caller} needs one class at each step, but the model was fitted on several "
                f"labels at once; expected a fit with the next symbol of each step as y."
            )
        if self._replicates:
            raise ValueError(
                f"{caller} needs a class at each step, but the model was fitted on one label for "
                f"each sequence; expected a fit with the next symbol of each step as y."
            )
        if self._fill is not None:
            raise ValueError(
                f"{caller} knows every input, as it draws them, but the model was fitted with "
                f"missing='mask'; expected missing='error'."
            )

    def _classes_by_number(self, labels: NDArray[Any], name: str, caller: str) -> NDArray[np.intp]:
        """(P,) the number of each label's class."""
        classes = self.classes_
        places, known = np.zeros(len(labels), np.intp), np.zeros(len(labels), np.bool_)
        if (labels.dtype.kind == "U") == (classes.dtype.kind == "U"):
            places = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
            known = classes[places] == labels
        if not known.all():
            i = int(np.argmin(known))
            raise ValueError(
                f"{caller} got {name}[{i}] = {labels[i].item()!r}, which is none of the "
                f"{len(classes)} classes; expected labels that are in classes_, which go from "
                f"{classes[0].item()!r} to {classes[-1].item()!r}."
            )
        return places

    def _read_encoding(self, encoding: Any, caller: str) -> NDArray[np.floating]:
        """(n_classes, D) what each class is as an input."""
        network, K = self.network_, len(self.classes_)
        D, dtype = network.n_inputs, network.dtype
        if encoding is None:
            if D != K:
                raise ValueError(
                    f"{caller} got encoding=None, which is one-hot, for {K} classes and {D} inputs "
                    f"of a step; pass encoding, the ({K}, {D}) inputs that stand for the classes."
                )
            return np.eye(K, dtype=dtype)
        expected = f"expected shape ({K}, {D}), the inputs of each class in the order of classes_"
        codes = read_array(
            encoding, caller=caller, name="encoding", ndims=(1, 2), expected=expected
        )
        if codes.ndim == 1 and D == 1:
            codes = codes[:, None]
        if codes.shape != (K, D):
            raise ValueError(f"{caller} got encoding of shape {codes.shape}; {expected}.")
        with np.errstate(over="ignore"):
            cast = np.require(codes, dtype, ["C", "A"])
        odd = ~np.isfinite(cast).all(axis=1)
        if odd.any():
            i = int(np.argmax(odd))
            raise ValueError(
                f"{caller} got encoding[{i}] with NaN or infinity, or too large for {dtype}; "
                f"{finite_rule(codes[i], dtype)}."
            )
        return cast

    def _states_before_last(
        self, past: list[NDArray[np.intp]], codes: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """(n, M) the states after all symbols of each sequence but the last."""
        states = self.network_.start(len(past))
        longer = [i for i, numbers in enumerate(past) if len(numbers) > 1]
        if longer:
            read = Ragged.from_sequences([codes[past[i][:-1]] for i in longer])
            sequences = Sequences(read.values, read.offsets, "ragged")
            n_threads = self._n_threads()  # type: ignore[attr-defined]
            states[longer] = self.network_.states(sequences, n_threads)[1]
        return states


def _out_of_range(symbols: NDArray[np.intp], network: RNN, caller: str) -> FloatingPointError:
    """Say where symbols (n, n_steps) are none, and why."""
    step = int((symbols < 0).any(axis=0).argmax())
    which = int((symbols[:, step] < 0).argmax())
    return FloatingPointError(
        f"{caller} got out of the range of {network.dtype} at step {step} of sequence {which}: "
        f"states grow from step to step, and tell no probabilities any more. Draw fewer symbols, "
        f"or fit with activation='tanh', which is bounded, and not {network.activation!r}."
    )


def _check_temperature(temperature: Any, caller: str) -> float:
    is_number = isinstance(temperature, Real) and not isinstance(temperature, bool)
    if not is_number or not 0 <= temperature < np.inf:
        raise ValueError(
            f"{caller} got temperature={spell(temperature)}; expected a finite number from 0 up."
        )
    return float(temperature)


def _read_start(start: Any, caller: str) -> tuple[list[tuple[str, NDArray[Any]]], bool]:
    """Return each sequence's name and labels (P,), and whether start is a single one."""
    if isinstance(start, (str, bytes)):
        raise TypeError(
            f"{caller} got start={spell(start)}; {_START}: list(start) for its characters, "
            f"[start] for one label."
        )
    if hasattr(start, "__array__") and not isinstance(start, (np.ndarray, Ragged)):
        start = np.asarray(start)  # a column of a data frame
    is_scalar = isinstance(start, np.ndarray) and start.ndim == 0
    if is_scalar or not isinstance(start, (list, tuple, np.ndarray, Ragged)):
        raise TypeError(f"{caller} got start of type {type(start).__name__}; {_START}.")
    if len(start) == 0:
        raise ValueError(f"{caller} got start with 0 labels; {_START}.")
    is_single = np.isscalar(start[0])
    items = [start] if is_single else start
    names = ["start"] if is_single else [f"start[{i}]" for i in range(len(start))]
    return [
        (name, _read_labels(item, name, caller)) for name, item in zip(names, items, strict=True)
    ], is_single


def _read_labels(item: Any, name: str, caller: str) -> NDArray[Any]:
    """(P,) the labels of one sequence."""
    expected = "expected a list or 1-D array of at least one label"
    labels = read_array(item, caller=caller, name=name, ndims=(1, 2), expected=expected, text=True)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) == 0:
        raise ValueError(f"{caller} got {name} of shape {labels.shape}; {expected}.")
    return labels
