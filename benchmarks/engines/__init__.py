"""The libraries that are timed: what each is called, where its module is, and what it can do.

An engine is made of a problem, a precision and a number of threads. Its methods are

- step(): forward, loss, and all five parameter gradients in hand;
- forward(): the outputs h2, softmax taken;
- computed(): "loss", the gradients by their names in cbptt, and "output", as NumPy arrays, for the
  proof that all do the same work.

The modules are imported where an engine runs and nowhere else, as each loads its library.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

__all__ = ["ENGINES", "PRODUCTS", "Library", "installed"]

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
    role : "peer" for what a user would pick, "made" for what a user would have to write, "" for
        what is compared with neither.
    """

    path: str
    packages: tuple[str, ...] = ()
    offers: tuple[str, ...] = BOTH
    dtypes: tuple[str, ...] = PRECISIONS
    lengths: tuple[str, ...] = ("equal",)
    role: str = "peer"


ENGINES = {
    "cbptt": Library("engines.compiled:Public", lengths=("equal", "ragged"), role=""),
    "cbptt-prepared": Library("engines.compiled:Prepared", lengths=("equal", "ragged"), role=""),
    "numpy": Library("engines.lecture:Lecture", role="made"),
    "torch": Library("engines.pytorch:Equal", ("torch",)),
    "torch-merged": Library("engines.merged:Merged", ("torch",), role="made"),
    "jax-1": Library("engines.scan:Rolled", ("jax",)),
    "jax-8": Library("engines.scan:Unrolled", ("jax",)),
    "onnxruntime": Library(
        "engines.onnx_graph:Graph", ("onnx", "onnxruntime"), ("forward",), ("float32",)
    ),
    "keras": Library("engines.keras_model:Model", ("keras", "jax"), dtypes=("float32",)),
    "torch-packed": Library("engines.pytorch:Packed", ("torch",), lengths=("ragged",)),
    "torch-padded": Library("engines.pytorch:Padded", ("torch",), lengths=("ragged",)),
}
PRODUCTS = {
    "numpy": Library("engines.product:Product", offers=("step",), role=""),
    "torch": Library("engines.product:TorchProduct", ("torch",), offers=("step",), role=""),
}


def installed(name: str) -> bool:
    """Whether an engine's packages are there."""
    return all(find_spec(package) is not None for package in ENGINES[name].packages)
