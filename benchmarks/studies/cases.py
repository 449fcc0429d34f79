"""Small networks, batches and fits whose results two versions are compared on, to the last bit.

Only the public interface is used, so that any two versions can compute them.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import cbptt

Case = tuple[str, Callable[[], list[Any]]]

LENGTHS = {
    "equal": [40] * 24,
    "one": [60],
    "ragged": [3, 1, 17, 40, 8, 8, 25, 2, 33, 12, 5, 21],
    "long": [700, 400, 650],
    "many": list(range(1, 131)),
}
# D, M, K: the kernels' own sizes, awkward ones, and those that BLAS computes
SIZES = [(3, 8, 2), (12, 64, 9), (1, 100, 1), (40, 33, 3), (300, 24, 2), (5, 400, 3), (4, 20, 300)]


def data_of(
    lengths: list[int], D: int, K: int, readout: str, dtype: str
) -> tuple[list[Any], list[Any] | Any, list[Any] | Any]:
    """Draw sequences, targets and weights, some of which are 0."""
    rng = np.random.default_rng(len(lengths))
    X = [rng.normal(size=(T, D)).astype(dtype) for T in lengths]
    shapes = [(T,) for T in lengths] if readout == "every" else [()] * len(lengths)
    Y = [rng.integers(0, K, shape) if K > 1 else rng.normal(size=shape) for shape in shapes]
    weights = [rng.integers(0, 3, shape) * 1.0 for shape in shapes]
    if readout != "every":
        weights[0] = np.asarray(1.0)
        return X, np.array(Y), np.array(weights)
    weights[0][0] = 1
    return X, Y, weights


def network_cases() -> Iterator[Case]:
    """Yield losses, gradients and outputs: sizes, readouts, lengths, precisions, checkpoints."""
    for sizes in SIZES:
        for readout in ("every", "last", "mean", "max"):
            for lengths in LENGTHS:
                for dtype in ("float32", "float64"):
                    name = f"network {sizes} {readout} {lengths} {dtype}"
                    yield name, partial(run_network, sizes, readout, lengths, dtype)


def run_network(sizes: tuple[int, int, int], readout: str, lengths: str, dtype: str) -> list[Any]:
    """Return what one network computes of one batch."""
    D, M, K = sizes
    how = {"output_activation": "softmax", "loss": "log_loss"} if K > 1 else {}
    network = cbptt.RNN(D, M, K, readout=readout, dtype=dtype, random_state=0, **how)
    rng = np.random.default_rng(1)
    for view in network.parameters.values():
        view += 0.1 * rng.normal(size=view.shape)
    X, Y, weights = data_of(LENGTHS[lengths], D, K, readout, dtype)
    h0 = rng.normal(size=(len(X), M)).astype(dtype)
    inputs = {}
    if "inputs" in inspect.signature(network.loss_and_gradients).parameters:
        inputs["inputs"] = True
    found: list[Any] = [network.loss(X, Y, weights)]
    for given in (None, h0):
        forward = network.forward(X, given)
        loss, gradients = network.loss_and_gradients(X, Y, weights, h0=given, **inputs)
        found += [*forward.hidden, *forward.output, forward.state, loss]
        found += [*gradients.pop("X"), *gradients.values()]
    for checkpoint in (1, 7, "auto"):
        loss, gradients = network.loss_and_gradients(X, Y, weights, checkpoint=checkpoint)
        found += [loss, *(gradients[name] for name in network.parameters)]
    if readout in ("every", "last"):
        found += truncated(network, X, Y, weights, 1000, None)
    return found


def truncated(
    network: Any, X: Any, Y: Any, weights: Any, steps: int, stride: int | None
) -> list[Any]:
    """Return loss and gradients, computed in windows of steps."""
    how = {"bptt_steps": steps, "bptt_stride": stride}
    loss, gradients = network.loss_and_gradients(X, Y, weights, **how)
    return [loss, *gradients.values()]


def window_cases() -> Iterator[Case]:
    """Yield gradients in windows."""
    for sizes in SIZES:
        for lengths in LENGTHS:
            for readout, steps, stride in (("every", 10, 10), ("every", 10, 3), ("last", 10, None)):
                name = f"windows {sizes} {readout} {lengths} {steps} {stride}"
                yield name, partial(run_windows, sizes, readout, lengths, steps, stride)


def run_windows(
    sizes: tuple[int, int, int], readout: str, lengths: str, steps: int, stride: int | None
) -> list[Any]:
    """Return the loss and gradients of one batch in windows."""
    D, M, K = sizes
    how = {"output_activation": "softmax", "loss": "log_loss"} if K > 1 else {}
    network = cbptt.RNN(D, M, K, readout=readout, random_state=0, **how)
    X, Y, weights = data_of(LENGTHS[lengths], D, K, readout, "float64")
    return truncated(network, X, Y, weights, steps, stride)


def fit_cases() -> Iterator[Case]:
    """Yield fits: solvers, dropout, windows, learned starts, threads."""
    variants: dict[str, dict[str, Any]] = {
        "adam": {},
        "sgd": {"solver": "sgd", "learning_rate_init": 0.01},
        "adamw": {"solver": "adamw", "alpha": 0.01},
        "rmsprop": {"solver": "rmsprop"},
        "adagrad": {"solver": "adagrad"},
        "lbfgs": {"solver": "lbfgs", "dtype": "float64"},
        "dropout": {"dropout": 0.2, "recurrent_dropout": 0.3},
        "windows": {"bptt_steps": 7},
        "overlapping windows": {"bptt_steps": 9, "bptt_stride": 4},
        "learned start": {"learn_initial_state": True},
        "relu": {"activation": "relu"},
        "logistic": {"activation": "logistic"},
        "float32": {"dtype": "float32"},
        "wide": {"hidden_layer_sizes": (400,)},
    }
    for name, parameters in variants.items():
        for kind in ("RNNClassifier", "RNNSequenceClassifier"):
            if kind == "RNNClassifier" and name == "overlapping windows":
                continue
            for n_jobs, lengths in ((1, "ragged"), (2, "ragged"), (2, "long"), (1, "short")):
                label = f"fit {kind} {name} {lengths} n_jobs={n_jobs}"
                yield label, partial(run_fit, kind, parameters, lengths, n_jobs)


def run_fit(kind: str, parameters: dict[str, Any], lengths: str, n_jobs: int) -> list[Any]:
    """Return the parameters and predictions of a fit.

    "ragged": one batch of unequal lengths; "long", "short": mini-batches of many or of few steps.
    """
    accepted = inspect.signature(getattr(cbptt, kind)).parameters
    parameters = {name: value for name, value in parameters.items() if name in accepted}
    readout = "last" if kind == "RNNClassifier" else "every"
    all_lengths = {"ragged": LENGTHS["ragged"] * 4, "long": [200] * 40}.get(lengths, [9, 5] * 12)
    size = len(all_lengths) if lengths == "ragged" else 10
    X, y, _ = data_of(all_lengths, 3, 3, readout, "float64")
    model = getattr(cbptt, kind)(
        **{"max_iter": 4, "random_state": 0, "n_jobs": n_jobs, "batch_size": size, **parameters}
    )
    model.fit(X, y)
    return [model.network_.theta, *model.predict_proba(X), *model.loss_curve_]


# The groups of cases, each by a function that yields names and what computes them.
GROUPS: dict[str, Callable[[], Iterator[Case]]] = {
    "network": network_cases,
    "windows": window_cases,
    "fit": fit_cases,
}


def digest(results: list[Any]) -> str:
    """Name the bits of results."""
    found = hashlib.sha256()
    for value in results:
        found.update(np.ascontiguousarray(value).tobytes())
    return found.hexdigest()
