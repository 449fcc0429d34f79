"""Any memory layout and kind of numbers is read, and none is written to."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from cbptt.data.ragged import Ragged
from cbptt.testing.cases import (
    SINGLE,
    Case,
    outputs_of,
)
from cbptt.testing.registry import (
    check,
)

Array: TypeAlias = NDArray[Any]


def _read_only(array: Any) -> Array:
    protected = np.array(array)
    protected.flags.writeable = False
    return protected


def _unaligned(array: Array) -> Array:
    buffer = np.empty(array.nbytes + 1, np.uint8)
    shifted = buffer[1:].view(array.dtype).reshape(array.shape)
    shifted[...] = array
    return shifted


@check()
def check_read_only(case: Case) -> None:
    """Read-only X and y are learned from like others."""
    case.y = [_read_only(steps) for steps in case.y] if case.per_step else _read_only(case.y)
    case.assert_layout_does_not_matter(_read_only, "read-only memory")
    ragged = Ragged.from_sequences(case.X)
    ragged.values.flags.writeable = False
    case.assert_learns_the_same(ragged, case.y, case.X, case.y, "read-only Ragged")


@check()
def check_fortran_order(case: Case) -> None:
    """Arrays in Fortran order are learned from like others."""
    case.assert_layout_does_not_matter(np.asfortranarray, "Fortran order")


@check()
def check_negative_strides(case: Case) -> None:
    """Arrays that run backwards through their memory are learned from like others."""
    case.assert_layout_does_not_matter(lambda x: x[::-1, ::-1], "negative strides")


@check()
def check_gaps_in_memory(case: Case) -> None:
    """Arrays that leave out every other number of their memory are learned from like others."""
    case.assert_layout_does_not_matter(lambda x: np.repeat(x, 2, axis=-1)[..., ::2], "gaps")


@check()
def check_broadcast(case: Case) -> None:
    """Arrays that repeat one number of their memory are learned from like others."""
    case.assert_layout_does_not_matter(
        lambda x: np.broadcast_to(x[..., :1], x.shape), "broadcast memory"
    )


@check()
def check_unaligned(case: Case) -> None:
    """Unaligned arrays are learned from like others."""
    case.assert_layout_does_not_matter(_unaligned, "unaligned memory")


@check()
def check_big_endian(case: Case) -> None:
    """Big-endian numbers are learned from like others."""
    case.assert_layout_does_not_matter(lambda x: x.astype(">f8"), "big-endian numbers")


@check()
def check_float16(case: Case) -> None:
    """Numbers in float16 are learned from like the same numbers in float64."""
    case.assert_layout_does_not_matter(lambda x: x.astype(np.float16), "float16")


@check()
def check_integers(case: Case) -> None:
    """Integers, wide and narrow, are learned from like the same numbers in float64."""
    case.assert_layout_does_not_matter(lambda x: np.rint(4 * x).astype(np.int64), "int64")
    case.assert_layout_does_not_matter(lambda x: np.rint(4 * x).astype(np.int8), "int8")


@check()
def check_booleans(case: Case) -> None:
    """False and True are learned from like 0 and 1."""
    case.assert_layout_does_not_matter(lambda x: x > 0, "booleans")


@check()
def check_memory_map(case: Case) -> None:
    """Memory-mapped files are learned from like memory."""
    # a file that is mapped cannot be removed everywhere
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        path = Path(directory) / "X.npy"
        np.save(path, case.equal)
        mapped = np.load(path, mmap_mode="r")
        assert isinstance(mapped, np.memmap)
        for what, X in {"3-D": mapped, "list": list(mapped)}.items():
            case.assert_learns_the_same(
                X, case.equal_y, case.equal, case.equal_y, f"{what}, memory-mapped"
            )
        del mapped, X


@check()
def check_float32(case: Case) -> None:
    """Numbers in float32 are learned from nearly like the same numbers in float64."""
    X = [x.astype(np.float32) for x in case.X]
    single = outputs_of(case.fit(X), X)
    double = outputs_of(case.fit([x.astype(np.float64) for x in X]), X)
    if "predict_proba" in double:  # labels may change where two classes are about as probable
        single.pop("predict")
        double.pop("predict")
    case.assert_same(single, double, "float32", SINGLE)


@check()
def check_inputs_unchanged(case: Case) -> None:
    """Nothing is written to X or y, by no method."""
    for what, (X, y) in _writable(case).items():
        X_before, y_before = copy.deepcopy((X, y))
        model = case.fit(X, y)
        outputs_of(model, X)
        if hasattr(model, "score"):
            model.score(X, y)
        for given, now, before in (("X", X, X_before), ("y", y, y_before)):
            for i, (item_now, item_before) in enumerate(zip(now, before, strict=True)):
                message = f"{case.name} changed {given}[{i}], {given} being {what}."
                assert_array_equal(item_now, item_before, err_msg=message)


@check()
def check_inputs_not_kept(case: Case) -> None:
    """Writing to X and y after fit changes no prediction."""
    for what, (X, y) in _writable(case).items():
        model = case.fit(X, y)
        expected = outputs_of(model, case.X)
        for values in (X.values if isinstance(X, Ragged) else X, y):
            for i in range(len(values)):
                values[i] *= 0
        case.assert_same(outputs_of(model, case.X), expected, f"after {what} was set to 0")


def _writable(case: Case) -> dict[str, tuple[Any, Any]]:
    """Copies of X and y that an estimator has no need to convert."""
    return {
        "a list": (copy.deepcopy(case.X), copy.deepcopy(case.y)),
        "a 3-D array": (case.equal.copy(), np.array(case.equal_y)),
        "a Ragged": (Ragged.from_sequences(case.X), copy.deepcopy(case.y)),
    }
