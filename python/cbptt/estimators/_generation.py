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
from cbptt.estimators._random import make_generator
from cbptt.estimators._targets import TargetForm
from cbptt.network import RNN
from cbptt.rollout import draw_symbols

_START = "expected a list or 1-D array of at least one label, or a list of such"


def check_generates(form: TargetForm, *, masked: bool, caller: str) -> None:
    """Refuse models whose classes cannot be what they read next.

    Parameters
    ----------
    form : TargetForm
        What the model was fitted on.
    masked : bool
        Whether it was fitted with missing values.
    caller : str
        What errors call the method.

    Raises
    ------
    ValueError
    """
    if form.n_columns is not None:
        raise ValueError(
            f"{caller} needs one class at each step, but the model was fitted on several labels at "
            f"once; expected a fit with the next symbol of each step as y."
        )
    if form.replicated:
        raise ValueError(
            f"{caller} needs a class at each step, but the model was fitted on one label for each "
            f"sequence; expected a fit with the next symbol of each step as y."
        )
    if masked:
        raise ValueError(
            f"{caller} knows every input, as it draws them, but the model was fitted with "
            f"missing='mask'; expected missing='error'."
        )


def generate(
    network: RNN,
    classes: NDArray[Any],
    n_steps: Any,
    start: Any,
    *,
    temperature: Any,
    random_state: Any,
    encoding: Any,
    n_threads: int,
    caller: str,
) -> NDArray[Any]:
    """Draw symbols; the arguments are those of `RNNSequenceClassifier.sample`.

    Returns
    -------
    (n_steps,) or (n, n_steps) ndarray of classes
    """
    n_steps = read_integer(n_steps, caller=caller, name="n_steps")
    temperature = _check_temperature(temperature, caller)
    sequences, is_single = _read_start(start, caller)
    past = [_classes_by_number(labels, classes, name, caller) for name, labels in sequences]
    codes = _read_encoding(encoding, network, len(classes), caller)
    rng = make_generator(random_state, caller)

    states = _states_before_last(network, past, codes, n_threads)
    last = codes[[numbers[-1] for numbers in past]]
    symbols = draw_symbols(network, last, states, codes, n_steps, temperature, rng)
    if symbols.min() < 0:
        raise _out_of_range(symbols, network, caller)
    drawn = classes[symbols]
    return drawn[0] if is_single else drawn


def _classes_by_number(
    labels: NDArray[Any], classes: NDArray[Any], name: str, caller: str
) -> NDArray[np.intp]:
    """(P,) the number of each label's class."""
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


def _read_encoding(encoding: Any, network: RNN, K: int, caller: str) -> NDArray[np.floating]:
    """(n_classes, D) what each of K classes is as an input."""
    D, dtype = network.n_inputs, network.dtype
    if encoding is None:
        if D != K:
            raise ValueError(
                f"{caller} got encoding=None, which is one-hot, for {K} classes and {D} inputs "
                f"of a step; pass encoding, the ({K}, {D}) inputs that stand for the classes."
            )
        return np.eye(K, dtype=dtype)
    expected = f"expected shape ({K}, {D}), the inputs of each class in the order of classes_"
    codes = read_array(encoding, caller=caller, name="encoding", ndims=(1, 2), expected=expected)
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
    network: RNN, past: list[NDArray[np.intp]], codes: NDArray[np.floating], n_threads: int
) -> NDArray[np.floating]:
    """(n, state_width) the states after all symbols of each sequence but the last."""
    states = network.engine.start(len(past))
    longer = [i for i, numbers in enumerate(past) if len(numbers) > 1]
    if longer:
        read = Ragged.from_sequences([codes[past[i][:-1]] for i in longer])
        sequences = Sequences(read.values, read.offsets, "ragged")
        states[longer] = network.engine.predict(sequences, states=True, n_threads=n_threads).final
    return states


def _out_of_range(symbols: NDArray[np.intp], network: RNN, caller: str) -> FloatingPointError:
    """Say where symbols (n, n_steps) are none, and why."""
    step = int((symbols < 0).any(axis=0).argmax())
    which = int((symbols[:, step] < 0).argmax())
    return FloatingPointError(
        f"{caller} got out of the range of {network.dtype} at step {step} of sequence {which}: "
        f"states grow from step to step until no probability can be computed. Draw fewer symbols, "
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
