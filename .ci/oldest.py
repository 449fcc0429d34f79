"""Print the oldest supported packages: the floors of pyproject.toml, as constraints for pip.

Usage: oldest.py run, for what the package and its tests need; oldest.py build, for its build.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def stated(kind: str) -> set[str]:
    """Return the requirements of a kind, as they stand in pyproject.toml."""
    table = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    if kind == "build":
        return set(table["build-system"]["requires"])
    project = table["project"]
    extras = project["optional-dependencies"]
    return {*project["dependencies"], *extras["plot"], *extras["frames"], *extras["test"]}


def floor(requirement: str) -> str:
    """Return name==version of name>=version."""
    name, separator, version = requirement.partition(">=")
    if not separator or not re.fullmatch(r"[\d.]+", version):
        sys.exit(f"{requirement!r} in pyproject.toml states no floor; expected name>=version.")
    return f"{name}=={version}"


if __name__ == "__main__":
    print(*sorted(map(floor, stated(*sys.argv[1:]))), sep="\n")
