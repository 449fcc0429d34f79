"""The examples of the docstrings and of the README do what they show; what texts cite is there."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sklearn
from sklearn.utils.fixes import parse_version

import cbptt

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CELLS = ROOT / "docs" / "cells.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
PAGES += [ROOT / "benchmarks" / "README.md"]
CORE = ROOT / "src" / "cbptt"
REFERENCE = ROOT / "python" / "cbptt" / "reference"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS

MODULES = [
    "cbptt",
    *(
        module.name
        for module in pkgutil.walk_packages(cbptt.__path__, "cbptt.")
        if not module.name.endswith(".__main__")
    ),
]


def examples_of(module: str) -> list[doctest.DocTest]:
    """The docstrings of a module that hold examples."""
    found = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module))
    return [test for test in found if test.examples]


DOCSTRINGS = [test for module in MODULES for test in examples_of(module)]


@pytest.fixture(autouse=True)
def _in_an_empty_directory_without_a_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")


class NearlyTheSame(doctest.OutputChecker):
    """What training comes to may differ a little from one processor, or one BLAS, to another.

    Its figures stand in lines that begin with "accuracy": an accuracy may be 0.04 off, a share that
    is clipped 0.15, and a number of epochs a quarter; twice as much with packages older than those
    that the figures were found with, whose rounding differs.
    """

    SLACK = 1 if parse_version(sklearn.__version__) >= parse_version("1.9") else 2
    LINE = re.compile(r"accuracy (\S+)  epochs (\S+)  clipped (\S+)")

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        if super().check_output(want, got, optionflags):
            return True
        wanted, found = (self.LINE.findall(text) for text in (want, got))
        rest = [self.LINE.sub("", text) for text in (want, got)]
        return (
            len(wanted) == len(found) > 0
            and super().check_output(*rest, optionflags)
            and all(
                abs(float(a[0]) - float(b[0])) < 0.045 * self.SLACK
                and abs(float(a[1]) - float(b[1])) <= 0.25 * self.SLACK * float(a[1])
                and abs(float(a[2]) - float(b[2])) < 0.155 * self.SLACK
                for a, b in zip(wanted, found, strict=True)
            )
        )


def run(test: doctest.DocTest) -> dict[str, Any]:
    """Run the examples; fail with what they gave instead, else return the names they made."""
    report: list[str] = []
    results = doctest.DocTestRunner(NearlyTheSame(), optionflags=FLAGS).run(
        test, out=report.append, clear_globs=False
    )
    assert results.attempted > 0
    assert results.failed == 0, "".join(report)
    return test.globs


@pytest.mark.parametrize("test", DOCSTRINGS, ids=lambda test: test.name)
def test_the_examples_of_a_docstring_give_what_they_show(test: doctest.DocTest) -> None:
    run(test)


def test_the_main_rooms_have_examples() -> None:
    rooms = Counter(test.name.split(".")[1] for test in DOCSTRINGS)
    assert rooms["network"] >= 1
    assert rooms["data"] >= 1
    assert rooms["estimators"] >= 4
    assert rooms["forecasting"] >= 1
    shown = {test.name.rpartition(".")[2] for test in DOCSTRINGS}
    assert {name for name in cbptt.__all__ if name.startswith("R")} <= shown


def blocks_of(text: str) -> list[tuple[int, str]]:
    """The Python blocks of a Markdown text, each with the line it begins on."""
    blocks = re.finditer(r"^```python[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(text[: block.start()].count("\n") + 2, block.group(1)) for block in blocks]


def run_blocks(text: str, name: str) -> dict[str, Any]:
    """Run a text's blocks from top to bottom in one namespace, as a reader would."""
    namespace: dict[str, Any] = {"__name__": name}
    for line, block in blocks_of(text):
        if ">>>" in block:
            parser = doctest.DocTestParser()
            test = parser.get_doctest(block, namespace, f"{name}:{line}", name, line - 1)
            namespace = run(test)
        else:
            exec(compile("\n" * (line - 1) + block, name, "exec"), namespace)
    return namespace


def test_the_blocks_of_the_readme_run_from_top_to_bottom() -> None:
    run_blocks(README.read_text(encoding="utf-8"), README.name)


def test_blocks_share_their_names_and_are_compared() -> None:
    text = "# Title\n```python\na = 1\n```\ntext\n```python\n>>> a + 1\n2\n>>> b = a\n```\n"
    assert [line for line, _ in blocks_of(text)] == [3, 7]
    assert run_blocks(text, "some.md")["b"] == 1
    with pytest.raises(AssertionError, match=r"(?s)some\.md.*Expected:\s+3"):
        run_blocks(text.replace("\n2\n", "\n3\n"), "some.md")
    with pytest.raises(NameError):
        run_blocks(text.replace("a = 1", "c = 1").replace(">>> ", ""), "some.md")


# ---- where each equation stands ----------------------------------------------------------------


def source_of(path: Path, function: str) -> str | None:
    """The source of a function or class of the outermost level; None if there is none."""
    begin = rf"^(?:cdef|cpdef|def|class|static)\b[^(:\n]*\b{function}\b"
    body = r".*\n(?:(?:[ \t){].*)?\n)*"  # indented lines, empty ones, the end of the signature
    found = re.search(begin + body, path.read_text(encoding="utf-8"), re.MULTILINE)
    return found and found.group()


def stands_in(text: str, source: str) -> bool:
    """Whether the text is in the source, and not only as a part of longer words."""
    return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", source) is not None


def wrong_citations(equation: str, compiled: str, in_numpy: str) -> list[str]:
    """What a row of the table cites that is not there."""
    for cell in (compiled, in_numpy):
        assert re.fullmatch(r"`[^`]+`([ ,]+`[^`]+`)+", cell), f"{equation}: cannot read {cell}"
    file, function, *texts = re.findall("`(.*?)`", compiled)
    numpy_function, *numpy_texts = re.findall("`(.*?)`", in_numpy)
    assert texts
    assert numpy_texts
    modules = [source_of(path, numpy_function) for path in sorted(REFERENCE.glob("*.py"))]
    wrong = []
    for name, source, cited in (
        (function, source_of(CORE / file, function), texts),
        (numpy_function, next(filter(None, modules), None), numpy_texts),
    ):
        if source is None:
            wrong.append(name)
        else:
            wrong += [f"{name}: {text}" for text in cited if not stands_in(text, source)]
    return wrong


def equations(page: Path) -> list[list[str]]:
    """The rows of a page's table of where each equation is implemented, without its head."""
    table = page.read_text(encoding="utf-8").partition("<!-- where -->")[2]
    lines = table.partition("<!-- /where -->")[0].strip().split("\n")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("page", [README, CELLS], ids=lambda page: page.name)
def test_each_equation_stands_where_a_page_says(page: Path) -> None:
    rows = equations(page)
    assert len(rows) > 10
    assert {row[0]: wrong for row in rows if (wrong := wrong_citations(*row))} == {}


def test_the_readme_says_where_the_five_derivatives_are() -> None:
    rows = equations(README)
    assert {f"derivative number {i}" for i in range(1, 6)} <= {row[0].split(",")[0] for row in rows}


def test_a_text_that_stands_elsewhere_or_in_a_longer_word_is_a_wrong_citation() -> None:
    numpy_cell = "`forward` `h2(t) = f(a2(t))`"
    for cell, wrong in {
        "`_head.pyx` `add_losses` `dL/dW1`, `dL/db1`": [],
        "`_head.pyx` `add_losses` `dL/dW`": ["add_losses: dL/dW"],
        "`_head.pyx` `add_losses` `dL/dW11`": ["add_losses: dL/dW11"],
        "`_head.pyx` `add_loss` `dL/dW1`": ["add_loss"],
    }.items():
        assert wrong_citations("", cell, numpy_cell) == wrong
    compiled = "`_losses.pyx` `output` `h2 = f(a2)`"
    assert wrong_citations("", compiled, "`loss` `h2(t) = f(a2(t))`") == ["loss: h2(t) = f(a2(t))"]


# ---- files, functions and headings that a page names ---------------------------------------------

ROOMS = [ROOT, CORE, CORE / "kernels", ROOT / "python" / "cbptt", ROOT / "python/cbptt/estimators"]
ROOMS += [ROOT / name for name in ("tests", "examples", "benchmarks", "benchmarks/studies")]
FILE = re.compile(r"[\w*/-]+\.(?:py|pyx|pxd|c|h|md|txt|toml|svg)")
FUNCTION = re.compile(r"(_[a-z]+)\.(\w+)")


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_is_there(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    absent = []
    for name in re.findall(r"`([^`\n]+)`", text):
        if FILE.fullmatch(name):
            found = any(True for room in ROOMS for _ in room.glob(name))
        elif match := FUNCTION.fullmatch(name):
            path = CORE / f"{match[1]}.pyx"
            found = not path.exists() or source_of(path, match[2]) is not None
        else:
            continue
        absent += [name] * (not found)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        if "://" not in link and not (
            target.exists() and (not anchor or anchor in anchors(target))
        ):
            absent.append(link)
    assert absent == []
