"""Names of functions, losses and readouts: one that is added in one place only fails here."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from sklearn.utils._param_validation import StrOptions

import cbptt
from cbptt import losses, reference
from cbptt._kernels import FUNCTIONS
from cbptt._losses import LOSSES

ROOT = Path(__file__).parents[1]
CORE = ROOT / "src" / "cbptt"
PACKAGE = ROOT / "python" / "cbptt"
COMPILED = sorted(path.stem for path in CORE.glob("*.pyx"))
ESTIMATORS = [name for name in cbptt.__all__ if name.startswith("RNN") and name != "RNN"]


def compiled(name: str) -> dict[str, int]:
    """The table of codes of this name, in whichever compiled module it is."""
    modules = [importlib.import_module(f"cbptt.{module}") for module in COMPILED]
    (table,) = [vars(module)[name] for module in modules if name in vars(module)]
    return table  # type: ignore[no-any-return]


def in_order_of_codes(table: dict[str, int]) -> list[str]:
    assert sorted(table.values()) == list(range(len(table)))
    return sorted(table, key=lambda name: table[name])


def enum_with(member: str, paths: list[Path]) -> list[str]:
    """The members, in lower case, of the one enum that has this member."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    text = re.sub(r"#.*|/\*.*?\*/", "", text)
    enums = re.findall(r"\benum\b[ \w]*(?:\{(.*?)\}|:\s*((?:\w+[ \t]*,?\s*)+?)\n\s*\n)", text, re.S)
    members = [re.findall(r"\w+", "".join(parts)) for parts in enums]
    (found,) = [names for names in members if member in names]
    return [name.removeprefix("CBPTT_").lower() for name in found]


# ---- the codes ----------------------------------------------------------------------------------


def test_the_functions_are_those_with_a_code() -> None:
    assert compiled("FUNCTIONS") is FUNCTIONS
    assert set(losses.OUTPUT_ACTIVATIONS) == set(FUNCTIONS)
    assert set(losses.ACTIVATIONS) == set(FUNCTIONS) - {"softmax"}


def test_the_losses_are_those_with_a_code() -> None:
    assert compiled("LOSSES") is LOSSES
    assert set(losses.PAIRS) == set(LOSSES)
    assert set().union(*losses.PAIRS.values()) <= set(FUNCTIONS)


def test_the_readouts_are_those_with_a_code() -> None:
    assert set(losses.READOUTS) == set(compiled("READOUTS"))
    assert set(losses.POOLINGS) == set(losses.READOUTS) - {"every"}


@pytest.mark.parametrize(
    ("table", "member"), [("FUNCTIONS", "TANH"), ("LOSSES", "LOG_LOSS"), ("READOUTS", "EVERY")]
)
def test_a_code_is_the_place_in_an_enum_of_cython(table: str, member: str) -> None:
    assert in_order_of_codes(compiled(table)) == enum_with(member, sorted(CORE.glob("*.pxd")))


def test_a_code_is_the_place_in_the_enum_of_c() -> None:
    elementwise = [name for name in in_order_of_codes(FUNCTIONS) if name != "softmax"]
    assert elementwise == enum_with("CBPTT_TANH", [CORE / "kernels" / "kernels.h"])


# ---- the reference ------------------------------------------------------------------------------


def test_the_reference_has_the_same_names() -> None:
    assert set(reference.ACTIVATIONS) == set(losses.ACTIVATIONS)
    assert set(reference.OUTPUTS) == set(losses.OUTPUT_ACTIVATIONS)
    assert set(reference.READOUTS) == set(losses.READOUTS)
    assert {name: set(outputs) for name, outputs in reference.LOSSES.items()} == {
        name: set(outputs) for name, outputs in losses.PAIRS.items()
    }


# ---- the docstrings -----------------------------------------------------------------------------


def names_in(docstring: str | None, parameter: str) -> set[str] | None:
    """The names that a docstring lists for a parameter, or None if it has no such list."""
    found = re.search(rf"^ *{parameter} : \{{(.*?)\}}", docstring or "", re.MULTILINE)
    return found and set(re.findall(r'"(\w+)"', found.group(1)))


NAMES = {
    "activation": set(losses.ACTIVATIONS),
    "output_activation": set(losses.OUTPUT_ACTIVATIONS),
    "loss": set(losses.PAIRS),
    "readout": set(losses.READOUTS),
    "states": {*losses.POOLINGS, "all"},
}


@pytest.mark.parametrize("parameter", NAMES)
def test_every_docstring_that_lists_names_lists_all_of_them(parameter: str) -> None:
    lists = {
        path.name: names
        for path in PACKAGE.rglob("*.py")
        if (names := names_in(path.read_text(encoding="utf-8"), parameter)) is not None
    }
    assert lists == dict.fromkeys(lists, NAMES[parameter])
    assert lists


def test_the_docstring_of_the_network_lists_the_names_that_it_accepts() -> None:
    for parameter in ("activation", "output_activation", "loss", "readout"):
        assert names_in(cbptt.RNN.__doc__, parameter) == NAMES[parameter]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_docstring_of_an_estimator_lists_the_names_that_it_accepts(estimator: str) -> None:
    cls = getattr(cbptt, estimator)
    accepted = {
        parameter: set().union(*(c.options for c in constraints if isinstance(c, StrOptions)))
        for parameter, constraints in cls._parameter_constraints.items()
        if any(isinstance(constraint, StrOptions) for constraint in constraints)
    }
    assert accepted["activation"] == set(losses.ACTIVATIONS)
    if estimator in ("RNNClassifier", "RNNRegressor"):
        assert accepted["pooling"] == set(losses.POOLINGS)
    listed = {parameter: names_in(cls.__doc__, parameter) for parameter in accepted}
    assert {name: names for name, names in listed.items() if names is not None} == {
        name: names for name, names in accepted.items() if len(names) > 1
    }
