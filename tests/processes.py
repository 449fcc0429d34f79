"""Python in a process of its own, without the settings that a user has made for Python."""

from __future__ import annotations

import os
import subprocess
import sys

# A limit on a process that hangs; a slow one on a busy machine has time enough.
SECONDS = 1800

# What changes the meaning of a test if it comes from outside.
UNSET = {"PYTHONWARNINGS", "PYTHONOPTIMIZE", "PYTHONVERBOSE", "PYTEST_ADDOPTS", "MPLBACKEND"}

# Run a program or, after -m, a module. Warnings of its own and of cbptt are errors; those of other
# packages, on their import for instance, are their own affair.
OWN_WARNINGS_ARE_ERRORS = """
import runpy, sys, warnings
warnings.filterwarnings("error", module=r"(__main__|cbptt)\\b")
sys.argv.pop(0)
if sys.argv[0] == "-m":
    sys.argv.pop(0)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
else:
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_python(*arguments, strict=False, cwd=None, **environment):
    """Run Python and return what it did: returncode, stdout and stderr.

    With strict=True the arguments are a program or -m and a module, followed by their own
    arguments, and a warning that they cause is an error.
    """
    command = ["-c", OWN_WARNINGS_ARE_ERRORS, *arguments] if strict else arguments
    inherited = {name: value for name, value in os.environ.items() if name not in UNSET}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        env=inherited | {"PYTHONIOENCODING": "utf-8"} | environment,
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )


def output_of(*arguments, **options):
    """What `run_python` prints, if it succeeds."""
    done = run_python(*arguments, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout
