"""Count the code: the longest functions, the most arguments, lines per file, rooms.

    python tools/count.py [CHECKOUT ...]

Lines of a function leave out its docstring; arguments of a method leave out self. A room is a
module of Python or Cython, or a folder of kernels. With several checkouts, their tables follow one
another; without any, the one that this file lies in is counted.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FOLDERS = ("python/cbptt", "src/cbptt")
SUFFIXES = (".py", ".pyx", ".pxd", ".c", ".h")
LARGEST = 5  # that a table lists

# def name(arguments):, with brackets two deep at most in the arguments
CYTHON = re.compile(
    r"^(?P<indent> *)(?:cdef|cpdef|def) [^\n=]*?(?P<name>\w+)"
    r"\((?P<arguments>[^()]*(?:\([^()]*\)[^()]*)*)\)[^\n]*:\n",
    re.MULTILINE,
)


class Function(NamedTuple):
    """A function: what it is called, and what is counted of it."""

    language: str
    where: str
    n_lines: int
    n_arguments: int


def of_python(path: Path) -> Iterator[Function]:
    """Walk through the functions of a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        assert node.end_lineno is not None
        n_lines = node.end_lineno - node.lineno + 1
        docstring = ast.get_docstring(node, clean=False)
        if docstring is not None:
            n_lines -= docstring.count("\n") + 1
        a = node.args
        names = [argument.arg for argument in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
        n_arguments = len([name for name in names if name not in ("self", "cls")])
        yield Function("Python", f"{path.name}:{node.name}", n_lines, n_arguments)


def of_cython(path: Path) -> Iterator[Function]:
    """Walk through the functions of a compiled module."""
    text = path.read_text(encoding="utf-8")
    for match in CYTHON.finditer(text):
        indent, n_lines = len(match["indent"]), match[0].count("\n")
        body = []
        for line in text[match.end() :].splitlines():
            if line.strip() and len(line) - len(line.lstrip()) <= indent:
                break
            body.append(line)
        written = "\n".join(body).strip()
        if documented := re.match(r'"""(?:.|\n)*?"""', written):
            written = written[documented.end() :].strip("\n")
        arguments = re.sub(r"#.*|\[[^\]]*\]", "", match["arguments"]).split(",")
        names = [argument.strip() for argument in arguments if argument.strip()]
        n_arguments = len([name for name in names if name != "self"])
        n_lines += written.count("\n") + 1
        yield Function("Cython", f"{path.name}:{match['name']}", n_lines, n_arguments)


def report(checkout: Path) -> None:
    """Print the counts of a checkout."""
    files = sorted(
        path
        for folder in FOLDERS
        for path in (checkout / folder).rglob("*")
        if path.suffix in SUFFIXES
    )
    functions: list[Function] = []
    for path in files:
        if path.suffix == ".py":
            functions.extend(of_python(path))
        elif path.suffix == ".pyx":
            functions.extend(of_cython(path))
    for language in ("Python", "Cython"):
        own = [function for function in functions if function.language == language]
        longest = sorted(own, key=lambda function: -function.n_lines)[:LARGEST]
        widest = sorted(own, key=lambda function: -function.n_arguments)[:LARGEST]
        print(f"{language}: {len(own)} functions")
        print("  longest:        ", ", ".join(f"{f.n_lines} {f.where}" for f in longest))
        print("  most arguments: ", ", ".join(f"{f.n_arguments} {f.where}" for f in widest))
    sizes = {path: path.read_text(encoding="utf-8").count("\n") for path in files}
    largest = sorted(files, key=lambda path: -sizes[path])[:LARGEST]
    modules = [path for path in files if path.suffix in (".py", ".pyx")]
    print(f"{len(files)} files, {sum(sizes.values())} lines, {len(modules)} rooms")
    print("  largest:        ", ", ".join(f"{sizes[path]} {path.name}" for path in largest))


def main() -> None:
    """Count each checkout that is named."""
    for checkout in [Path(name) for name in sys.argv[1:]] or [ROOT]:
        print(checkout)
        report(checkout)


if __name__ == "__main__":
    main()
