"""The libraries that are timed: what each is called, where its module is, and what it can do.

An engine is made of a problem, a precision and a number of threads. Its methods are

- step(): forward, loss, and the gradients of all parameters in hand;
- forward(): the outputs h2, softmax taken;
- computed(): "loss", the gradients by their names in cbptt, and "output", as NumPy arrays, for the
  proof that all do the same work.

The modules are imported where an engine runs and nowhere else, as each loads its library.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from shapes import Problem

__all__ = ["ENGINES", "PRODUCTS", "Library", "able", "installed"]

BOTH = ("step", "forward")
PRECISIONS = ("float32", "float64")


@dataclass(frozen=True)
class Library:
    """An engine by name.

    Attributes
    ----------
    path : module and class, as `module:Class`.
    packages : what must be installed.
    offers : which of step and forward it has.
    dtypes : precisions that it has.
    lengths : kinds of sequences that it takes, of "equal" and "ragged".
    networks : kinds of networks that it has: "lecture", "cells" for GRU, LSTM and several layers,
        "both ways" for two directions.
    role : "peer" for what a user would pick, "made" for what a user would have to write, "" for
        what is compared with neither.
    """

    path: str
    packages: tuple[str, ...] = ()
    offers: tuple[str, ...] = BOTH
    dtypes: tuple[str, ...] = PRECISIONS
    lengths: tuple[str, ...] = ("equal",)
    networks: tuple[str, ...] = ("lecture",)
    role: str = "peer"


ANY_LENGTHS = ("equal", "ragged")
ANY_NETWORK = ("lecture", "cells", "both ways")
ENGINES = {
    "cbptt": Library("engines.compiled:Public", lengths=ANY_LENGTHS, networks=ANY_NETWORK, role=""),
    "cbptt-prepared": Library(
        "engines.compiled:Prepared", lengths=ANY_LENGTHS, networks=ANY_NETWORK, role=""
    ),
    "numpy": Library("engines.lecture:Lecture", role="made"),
    "numpy-cells": Library(
        "engines.gated:Gated", lengths=ANY_LENGTHS, networks=ANY_NETWORK[1:], role="made"
    ),
    "torch": Library("engines.pytorch:Equal", ("torch",), networks=ANY_NETWORK),
    "torch-packed": Library(
        "engines.pytorch:Packed", ("torch",), lengths=("ragged",), networks=ANY_NETWORK
    ),
    "torch-padded": Library(
        "engines.pytorch:Padded", ("torch",), lengths=("ragged",), networks=ANY_NETWORK[:2]
    ),
    "torch-merged": Library("engines.merged:Merged", ("torch",), role="made"),
    "jax-1": Library("engines.scan:Rolled", ("jax",), lengths=ANY_LENGTHS, networks=ANY_NETWORK),
    "jax-8": Library("engines.scan:Unrolled", ("jax",), lengths=ANY_LENGTHS, networks=ANY_NETWORK),
    "onnxruntime": Library(
        "engines.onnx_graph:Graph",
        ("onnx", "onnxruntime"),
        ("forward",),
        ("float32",),
        ANY_LENGTHS,
        ANY_NETWORK,
    ),
    "keras": Library("engines.keras_model:Model", ("keras", "jax"), dtypes=("float32",)),
}
PRODUCTS = {
    "numpy": Library("engines.product:Product", offers=("step",), role=""),
    "torch": Library("engines.product:TorchProduct", ("torch",), offers=("step",), role=""),
}


def installed(name: str) -> bool:
    """Whether an engine's packages are there."""
    return all(find_spec(package) is not None for package in ENGINES[name].packages)


def able(name: str, problem: Problem, dtype: str) -> bool:
    """Whether an engine can compute a problem."""
    library = ENGINES[name]
    network = "both ways" if problem.bidirectional else "cells"
    return (
        dtype in library.dtypes
        and ("ragged" if problem.is_ragged else "equal") in library.lengths
        and ("lecture" if problem.is_lecture else network) in library.networks
    )
