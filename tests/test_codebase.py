"""The design, held: who may know whom, what an import costs, stubs, docstrings, plain paths."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import warnings
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from processes import output_of

import cbptt

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "cbptt"
CORE = ROOT / "src" / "cbptt"

# ---- who may know whom --------------------------------------------------------------------------

FACE = "cbptt"  # __init__
COMPILED = {path.stem for path in CORE.glob("*.pyx")}

# Room -> the rooms that it may import; "compiled" stands for all compiled modules. A room is a
# module, or a folder as a whole. If modules of a folder have rows, the folder's own row is that of
# its __init__. To allow a folder is to allow all of it.
ROOMS = """
cbptt -> nothing
data -> nothing
data.times -> nothing
data.frames -> nothing
data.reading -> _packing, data.frames, data.times
data.integers -> data.reading
data.ragged -> data.reading
data.sequences -> _packing, data.ragged, data.reading, data.times
data.windows -> data
data.tables -> data
engine -> nothing
engine.threads -> _team
parameters -> engine.threads
losses -> compiled, data.reading, data.sequences
optimizers -> compiled
architecture -> data.integers, data.reading, losses, parameters
engine.results -> data.sequences, losses
engine.truncation -> data.integers, data.reading, data.sequences
engine.batches -> compiled, engine, optimizers
engine.blocks -> compiled, architecture, data.reading
engine.engine -> compiled, architecture, data.integers, data.reading, data.sequences, engine
network -> compiled, architecture, data.integers, data.reading, data.sequences, engine, losses,
    parameters
rollout -> compiled, network
training -> compiled, data.sequences, engine, losses, network, optimizers
estimators -> data, engine.results, engine.truncation, losses, network, optimizers,
    parameters, rollout, training
forecasting -> nothing
forecasting.series -> data
forecasting.scaling -> nothing
forecasting.splits -> nothing
forecasting.framing -> data.ragged, data.sequences, forecasting.scaling, forecasting.series,
    network, rollout
forecasting.intervals -> forecasting.framing, forecasting.series, network
forecasting.settings -> data.integers, estimators, forecasting.framing, forecasting.series
forecasting.paths -> data.integers, estimators, forecasting.framing, network
forecasting.starting -> data, estimators, forecasting.framing, forecasting.series, network
forecasting.learning -> data, estimators, forecasting.framing, forecasting.intervals,
    forecasting.scaling, forecasting.series, network
forecasting.forecaster -> data, estimators, forecasting, network
forecasting.backtesting -> data.integers, forecasting.scaling, forecasting.series
backtesting -> forecasting.backtesting
datasets -> data.ragged
testing -> data.ragged
reference -> nothing
displays -> nothing
config -> cbptt, _kernels, engine.threads
__main__ -> cbptt, config, data.ragged, datasets, displays, estimators, network
"""

# Compiled module -> the compiled modules that it may cimport or import.
CORES = """
_kernels -> nothing
_blas -> nothing
_arena -> nothing
_packing -> nothing
_optimizers -> nothing
_team -> nothing
_losses -> _kernels
_network -> _arena, _kernels, _losses
_cut -> _network, _packing
_inputs -> _cut, _kernels
_elman -> _blas, _cut, _kernels, _network
_gru -> _cut, _kernels, _network
_lstm -> _cut, _kernels, _network
_recurrence -> _blas, _cut, _elman, _gru, _kernels, _lstm, _network
_stack -> _arena, _blas, _cut, _inputs, _kernels, _network, _packing, _recurrence, _team
_head -> _blas, _cut, _kernels, _losses, _network, _packing
_part -> _arena, _cut, _head, _inputs, _network, _packing, _stack, _team
_arrays -> _head, _inputs, _losses, _network, _packing, _part
_train -> _arena, _arrays, _cut, _inputs, _kernels, _network, _optimizers, _packing, _part, _team
_live -> _arena, _cut, _kernels, _losses, _network, _packing, _recurrence
_rollout -> _arena, _kernels, _live, _losses, _network
"""

# Room -> the packages that it may import besides NumPy, at the top of a module; and in functions.
AT_THE_TOP = """
estimators -> joblib, sklearn
forecasting.settings -> sklearn
forecasting.learning -> sklearn
forecasting.forecaster -> sklearn
testing -> joblib, sklearn
_blas -> scipy
"""
IN_FUNCTIONS = """
engine.threads -> scipy, threadpoolctl
data.tables -> narwhals
training -> scipy
estimators -> scipy
forecasting.intervals -> scipy
forecasting.backtesting -> sklearn
datasets -> sklearn
testing -> pytest, scipy
displays -> matplotlib
config -> scipy, sklearn, threadpoolctl
__main__ -> matplotlib, sklearn
"""


def rows_of(table: str) -> dict[str, set[str]]:
    """The rows of a table, each name on the left with those on the right."""
    lines = re.sub(r",\n +", ", ", table).strip().splitlines()
    rows = [line.split(" -> ") for line in lines]
    assert len({name for name, _ in rows}) == len(rows)
    return {name: set(known.split(", ")) - {"nothing"} for name, known in rows}


ALLOWED = {
    room: known - {"compiled"} | (COMPILED if "compiled" in known else set())
    for room, known in rows_of(ROOMS).items()
}

MODULES = sorted(PACKAGE.rglob("*.py"))


class Import(NamedTuple):
    """One import: what of, and whether it runs with the module, in a function, or never."""

    name: str
    where: str  # "top", "function" or "typing"
    line: int


def imports_of(source: str) -> list[Import]:
    """All imports in a module, a name of cbptt as "cbptt.name"."""
    found: list[Import] = []

    def visit(node: ast.AST, where: str) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, where, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            name = "." * node.level + (node.module or "")
            parts = [f"{name}.{a.name}" for a in node.names] if name == "cbptt" else [name]
            found.extend(Import(part, where, node.lineno) for part in parts)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            where = "function"
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            where = "typing"
        for child in ast.iter_child_nodes(node):
            visit(child, where)

    visit(ast.parse(source), "top")
    return found


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return room_named(".".join(["cbptt", *parts[: -1 if parts[-1] == "__init__" else None]]))


def room_named(name: str) -> str:
    """The room of an imported "cbptt.room.name"; a name that is no room is the face's."""
    parts = name.split(".")[1:]
    rooms = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((room for room in rooms if room in ALLOWED or room in COMPILED), FACE)


def allows(room: str, other: str) -> bool:
    """Whether a room may import another one, which it may by the row of a folder around it."""
    return any(other == known or other.startswith(f"{known}.") for known in {room} | ALLOWED[room])


def where_of(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_every_module_has_a_row_in_the_table() -> None:
    rooms = [room_of(path) for path in MODULES]
    assert rooms.count(FACE) == 1
    divided = {room.rpartition(".")[0] for room in ALLOWED}
    assert [room for room in rooms if room in divided and rooms.count(room) > 1] == []
    assert set(rooms) == set(ALLOWED)
    assert set(rows_of(CORES)) == COMPILED


def test_a_table_names_only_what_there_is() -> None:
    known = set().union(*ALLOWED.values(), rows_of(AT_THE_TOP), rows_of(IN_FUNCTIONS))
    assert known <= {*ALLOWED, *COMPILED}
    assert set().union(*rows_of(CORES).values()) <= COMPILED


@pytest.mark.parametrize("name", ["ROOMS", "CORES", "AT_THE_TOP", "IN_FUNCTIONS"])
def test_contributing_prints_the_table(name: str) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = f"```text\n{globals()[name].lstrip()}```\n"
    assert block in text, f"CONTRIBUTING.md must have the text of {name}:\n{block}"


def test_imports_are_found_wherever_they_stand() -> None:
    source = """
import os.path, numpy as np
if TYPE_CHECKING:
    from cbptt import RNN, losses
class A:
    def method(self):
        try:
            from sklearn.utils import Bunch
        except ImportError:
            from . import b
"""
    assert [(i.name, i.where) for i in imports_of(source)] == [
        ("os.path", "top"),
        ("numpy", "top"),
        ("cbptt.RNN", "typing"),
        ("cbptt.losses", "typing"),
        ("sklearn.utils", "function"),
        (".", "function"),
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_knows_only_the_rooms_below_it(path: Path) -> None:
    room = room_of(path)
    for name, where, line in imports_of(path.read_text(encoding="utf-8")):
        if name.partition(".")[0] != "cbptt" or (room == FACE and where == "typing"):
            continue
        other = room_named(name)
        assert allows(room, other), f"{where_of(path, line)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_other_packages_only_where_it_may(path: Path) -> None:
    room = room_of(path)
    for name, where, line in imports_of(path.read_text(encoding="utf-8")):
        package = name.partition(".")[0]
        if package in {"cbptt", *sys.stdlib_module_names}:
            continue
        allowed = {"numpy"} | rows_of(AT_THE_TOP).get(room, set())
        if where != "top":
            allowed |= rows_of(IN_FUNCTIONS).get(room, set())
        assert package in allowed, f"{where_of(path, line)} imports {name} ({where})"


@pytest.mark.parametrize("name", sorted(COMPILED))
def test_a_compiled_module_knows_only_those_below_it(name: str) -> None:
    texts = [path.read_text(encoding="utf-8") for path in CORE.glob(f"{name}.p[xy][dx]")]
    lines = "\n".join(texts)
    known = set(re.findall(r"^\s*(?:from|cimport|import)\s+cbptt\.(\w+)", lines, re.MULTILINE))
    assert known - {name} <= rows_of(CORES)[name]
    packages = set(re.findall(r"^(?:from|cimport|import)\s+(\w+)", lines, re.MULTILINE))
    allowed = {"cbptt", "cython", "libc", "cpython", "os", "sys"}
    assert packages <= allowed | rows_of(AT_THE_TOP).get(name, set())


def test_the_kernels_know_nothing_of_python() -> None:
    sources = [*CORE.glob("kernels/*.c"), *CORE.glob("kernels/*.h")]
    assert sources
    for path in sources:
        included = re.findall(r"#\s*include\s*[<\"](.*?)[>\"]", path.read_text(encoding="utf-8"))
        assert not [header for header in included if re.search("python|numpy", header, re.I)]


# ---- what an import costs -----------------------------------------------------------------------


def modules_after(code: str) -> set[str]:
    """The modules that a fresh interpreter has more after running the code."""
    script = (
        "import sys, json\n"
        "before = set(sys.modules)\n"
        f"{code}\n"
        "print('\\n' + json.dumps(sorted(set(sys.modules) - before)))\n"
    )
    return set(json.loads(output_of("-c", script, cwd=ROOT).splitlines()[-1]))


def foreign(modules: set[str]) -> set[str]:
    """The packages among modules that are neither cbptt nor Python's own."""
    packages = {module.partition(".")[0] for module in modules}
    return {
        package
        for package in packages - sys.stdlib_module_names - {"cbptt"}
        if not package.startswith("_")  # helpers of an editable installation
    }


def test_importing_the_package_imports_nothing_but_its_face() -> None:
    modules = modules_after("import cbptt\nassert set(cbptt.__all__) <= set(dir(cbptt))")
    assert {module for module in modules if module.startswith("cbptt")} == {"cbptt"}
    assert foreign(modules) == set()


def test_the_network_needs_no_scikit_learn() -> None:
    modules = modules_after(
        "import cbptt\n"
        "net = cbptt.RNN(1, 2, 1, random_state=0)\n"
        "net.derivatives(cbptt.Ragged.from_sequences([[1.0, 2.0]]), [[0.0, 1.0]])"
    )
    assert "cbptt.network" in modules
    assert "sklearn" not in foreign(modules)
    assert "cbptt.training" not in modules


def test_only_the_estimators_and_their_checks_need_scikit_learn_or_matplotlib() -> None:
    names = [
        f"cbptt.{room_of(path)}"
        for path in MODULES
        if room_of(path) not in {FACE, "testing", "__main__"}
        and not allows(room_of(path), "estimators")
    ]
    assert {"cbptt.training", "cbptt.losses", "cbptt.optimizers", "cbptt.engine.threads"} <= set(
        names
    )
    modules = modules_after(f"import {', '.join(sorted(set(names)))}")
    assert set(names) <= modules
    assert foreign(modules) & {"sklearn", "matplotlib", "pandas", "narwhals"} == set()


def test_the_reference_needs_numpy_only() -> None:
    modules = modules_after("import cbptt.reference")
    rooms = {m.split(".")[1] for m in modules if m.startswith("cbptt.")}
    assert rooms == {"reference"}
    assert foreign(modules) == {"numpy"}


# ---- the package's face -------------------------------------------------------------------------


@pytest.mark.parametrize("name", cbptt.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(cbptt, name) is getattr(cbptt, name)


def test_the_estimators_and_the_network_are_public() -> None:
    estimators = importlib.import_module("cbptt.estimators").__all__
    assert {"RNN", "Ragged", "RNNForecaster", *estimators} <= set(cbptt.__all__)
    assert len([name for name in estimators if name.startswith("RNN")]) == 4


def test_an_unknown_name_is_an_attribute_error_that_tells_it() -> None:
    with pytest.raises(AttributeError, match="'cbptt' has no attribute 'GRU'"):
        cbptt.GRU  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'GRU'"):
        exec("from cbptt import GRU")


# ---- stubs --------------------------------------------------------------------------------------


def stub_of(name: str) -> tuple[dict[str, list[str]], set[str], set[str]]:
    """Functions with the names of their parameters, classes, and the other names, of a stub."""
    functions, classes, names = {}, set(), set()
    for node in ast.parse((PACKAGE / f"{name}.pyi").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            arguments = node.args
            parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            functions[node.name] = [parameter.arg for parameter in parameters]
        elif isinstance(node, ast.ClassDef):
            classes.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            names.add(ast.unparse(node.target))
    return functions, classes, names


@pytest.mark.parametrize("name", sorted(COMPILED))
def test_a_stub_tells_the_names_that_its_module_has(name: str) -> None:
    module = importlib.import_module(f"cbptt.{name}")
    public = {
        key: value
        for key, value in vars(module).items()
        if not key.startswith("_") and not isinstance(value, ModuleType)
    }
    functions, classes, names = stub_of(name)
    assert {key for key, value in public.items() if isinstance(value, type)} == classes
    assert {key for key, value in public.items() if callable(value)} == {*functions, *classes}
    assert {key for key, value in public.items() if not callable(value)} == names
    for key, parameters in functions.items():
        assert list(inspect.signature(public[key]).parameters) == parameters


def test_the_compiled_functions_are_not_hidden_from_the_stubs() -> None:
    with_functions = {name for name in COMPILED if stub_of(name)[0]}
    assert with_functions == {
        "_arrays",
        "_kernels",
        "_losses",
        "_optimizers",
        "_packing",
        "_rollout",
        "_train",
    }
    with_classes = {name for name in COMPILED if stub_of(name)[1]}
    assert with_classes == {"_arrays", "_live", "_network", "_optimizers", "_team", "_train"}


# ---- docstrings ---------------------------------------------------------------------------------

PYTHON_MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(cbptt.__path__, "cbptt.")
    if module.name.split(".")[1] not in {*COMPILED, "_cyutility", "__main__"}
)


def docstrings_of(module: ModuleType) -> dict[str, str | None]:
    """Every public function, class and method that the module defines, with its docstring."""
    found = {module.__name__: module.__doc__}
    for name, thing in vars(module).items():
        defined_here = getattr(thing, "__module__", None) == module.__name__
        if name.startswith("_") or not callable(thing) or not defined_here:
            continue
        made_up = (thing.__doc__ or "").startswith(f"{name}(")  # by dataclass or NamedTuple
        found[f"{module.__name__}.{name}"] = None if made_up else thing.__doc__
        if not inspect.isclass(thing):
            continue
        for part, member in vars(thing).items():
            if part.startswith("_"):
                continue
            path = f"{module.__name__}.{name}.{part}"
            if inspect.isfunction(member) or isinstance(member, classmethod | staticmethod):
                found[path] = member.__doc__
            elif isinstance(member, property | cached_property):
                # an attribute may be told by itself or among the attributes of its class
                told = re.search(rf"^\s*([\w, ]*, )?{part}\b.* : ", thing.__doc__ or "", re.M)
                found[path] = member.__doc__ or (told and told.group())
    return found


@pytest.mark.parametrize("name", PYTHON_MODULES)
def test_everything_public_has_a_docstring(name: str) -> None:
    told = docstrings_of(importlib.import_module(name))
    assert [path for path, text in told.items() if not (text or "").strip()] == []


@pytest.mark.parametrize("name", PYTHON_MODULES)
def test_an_array_is_told_by_its_shape_first(name: str) -> None:
    shapeless = re.compile(r"^\s*[\w, ]+ : (an? )?(nd|object )?array\b(?!-).*$", re.MULTILINE)
    told = docstrings_of(importlib.import_module(name))
    assert {path: shapeless.findall(text or "") for path, text in told.items()} == {
        path: [] for path in told
    }


def test_the_docstring_checks_look_at_something() -> None:
    told = docstrings_of(importlib.import_module("cbptt.network"))
    assert {"cbptt.network", "cbptt.network.RNN", "cbptt.network.RNN.forward"} <= set(told)
    assert "cbptt.network.RNN.theta" in told


# ---- names of tests, and warnings in them -------------------------------------------------------


def test_names_of_tests_hold_no_address_so_that_workers_agree_on_them(
    request: pytest.FixtureRequest,
) -> None:
    assert [item.nodeid for item in request.session.items if " at 0x" in item.nodeid] == []


def test_a_warning_fails_a_test_if_it_is_ours_and_not_if_it_is_of_another_package(
    pytestconfig: pytest.Config,
) -> None:
    if pytestconfig.getoption("pythonwarnings"):
        pytest.skip("the command line says which warnings are errors")

    def warn(category: type[Warning], module: str) -> None:
        with warnings.catch_warnings(record=True):
            warnings.warn_explicit("careful", category, "file.py", 1, module)

    for module in ("cbptt.network", "cbptt", __name__):
        with pytest.raises(UserWarning, match="careful"):
            warn(UserWarning, module)
        warn(DeprecationWarning, module)  # of a package that is called there
    for category in (UserWarning, DeprecationWarning, RuntimeWarning):
        warn(category, "matplotlib._mathtext")


# ---- the project's texts ------------------------------------------------------------------------


def project_files() -> list[Path]:
    """What git holds or would add; without git, everything in the source distribution."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, text=True)
        paths = [ROOT / name for name in names.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        made = {"build", "dist", *(p.parent.name for p in ROOT.rglob("pyvenv.cfg"))}
        parts_of = ((p, p.relative_to(ROOT).parts) for p in ROOT.rglob("*"))
        paths = [
            path
            for path, parts in parts_of
            if not made & set(parts) and not any(part.startswith(".") for part in parts)
        ]
    return sorted(path for path in paths if path.is_file())


def test_no_text_mentions_a_path_of_some_machine() -> None:
    machine_path = re.compile(rb"(?<![\w.~%$})-])/(home|root|tmp|work|Users)/\w+|[A-Z]:\\Users")
    files = project_files()
    assert PACKAGE / "network.py" in files
    mentions = {
        str(path.relative_to(ROOT)): [match.group() for match in machine_path.finditer(text)]
        for path in files
        if b"\0" not in (text := path.read_bytes())
    }
    assert {name: paths for name, paths in mentions.items() if paths} == {}
