"""Halve each array of work memory in turn, and show that the tests of memory notice it.

    python tools/mutate_memory.py

Work memory is counted by the functions that hand it out, so an array that is too small would be
overrun. In a checked build a guard lies behind each array, and is compared after each part of a
batch. For every array this program halves its size in a copy of the sources, compiles a checked
build, and runs tests/test_memory.py, which must fail. The table that it prints has a row for each
array; the exit status is 1 if the tests passed with an array halved, or failed with none.

Takes Python, a C compiler, and pip's registry, as the package is built in a virtual environment of
its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
CORE = Path("src", "cbptt")
TESTS = "tests/test_memory.py"
COPIED = ("CMakeLists.txt", "LICENSE", "README.md", "pyproject.toml", "python", "src", "tests")
# x = take(arena, size, itemsize), with brackets two deep at most in the size
TAKE = re.compile(r"(?P<place>[\w.]+(?: = [\w.]+)*) = (?:<[\w ]+\*> )?take\(\s*\w+, ")


class Array(NamedTuple):
    """One array of work memory: where its size is written."""

    path: Path
    line: int
    name: str
    first: int
    end: int


def arrays() -> list[Array]:
    """Find every array that is taken from an arena."""
    found = []
    for path in sorted((ROOT / CORE).glob("*.pyx")):
        text = path.read_text(encoding="utf-8")
        for match in TAKE.finditer(text):
            end = end_of_argument(text, match.end())
            line = text.count("\n", 0, match.start()) + 1
            relative = path.relative_to(ROOT)
            found.append(Array(relative, line, match["place"], match.end(), end))
    return found


def end_of_argument(text: str, first: int) -> int:
    """Return where the argument that begins at `first` ends."""
    depth = 0
    for i in range(first, len(text)):
        if text[i] in "([":
            depth += 1
        elif text[i] in ")]":
            depth -= 1
        elif text[i] == "," and depth == 0:
            return i
    raise ValueError("an argument without an end")


def halved(text: str, array: Array) -> str:
    """Return a source in which one array has half its size."""
    size = text[array.first : array.end]
    return f"{text[: array.first]}({size}) // 2{text[array.end :]}"


class Workshop:
    """A copy of the sources, and a virtual environment to build them in."""

    def __init__(self, room: Path) -> None:
        self.copy, self.build = room / "copy", room / "build"
        self.python = room / "venv" / "bin" / "python"
        self.copy.mkdir()
        for name in COPIED:
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, self.copy / name)
        self.run(sys.executable, "-m", "venv", room / "venv")
        requirements = ["scikit-build-core", "cython", "cython-cmake", "cmake", "ninja"]
        self.pip(*requirements, f"{self.copy}[test]")

    def run(self, *command: object) -> None:
        """Run a program that must succeed."""
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{command}:\n{done.stdout}\n{done.stderr}")

    def pip(self, *arguments: str) -> None:
        """Install packages."""
        self.run(self.python, "-m", "pip", "install", "--quiet", *arguments)

    def passes(self) -> tuple[bool, str]:
        """Build the copy and run the tests; return whether they pass, and what they said last."""
        options = ("-Ccmake.define.CBPTT_CHECKED=ON", f"-Cbuild-dir={self.build}")
        self.pip("--no-build-isolation", "--no-deps", "--force-reinstall", *options, str(self.copy))
        tests = [str(self.python), "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", TESTS]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            tests, cwd=self.copy, env=environment, capture_output=True, text=True, timeout=600
        )
        if done.returncode < 0:
            return False, f"ended by signal {-done.returncode}"
        failed = re.findall(r"^FAILED \S+::(\S+)", done.stdout, re.MULTILINE)
        return done.returncode == 0, failed[0] if failed else done.stdout.strip()[-60:]


def main() -> int:
    """Print the table; return the exit status."""
    missed = 0
    with tempfile.TemporaryDirectory() as room:
        workshop = Workshop(Path(room))
        passed, said = workshop.passes()
        if not passed:
            print(f"{TESTS} fails with no array halved: {said}")
            return 1
        print(f"{'array':34} {'where':26} {TESTS}")
        for array in arrays():
            path = workshop.copy / array.path
            text = path.read_text(encoding="utf-8")
            path.write_text(halved(text, array), encoding="utf-8")
            passed, said = workshop.passes()
            path.write_text(text, encoding="utf-8")
            missed += passed
            verdict = "passes: NOT NOTICED" if passed else f"fails: {said}"
            print(f"{array.name:34} {array.path.name}:{array.line:<14} {verdict}", flush=True)
    print(f"{missed} not noticed")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
