"""The real runs that need no download run, and learn something even when cut short."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "real_runs.py"


# Runs a program where a package can be neither found nor imported.
WITHOUT = """
import importlib.util, os, runpy, sys
package, program, *arguments = sys.argv[1:]
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *at: None if name == package else find(name, *at)

class Refuse:
    def find_spec(self, name, *at):
        if name == package:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
sys.path.insert(0, os.path.dirname(program))
sys.argv = [program, *arguments]
runpy.run_path(program, run_name="__main__")
"""


def numbers_of(task, folder, without=None):
    """What the quick run of a task keeps beside its text."""
    program = [str(PROGRAM)] if without is None else ["-c", WITHOUT, without, str(PROGRAM)]
    command = [sys.executable, *program, task, "--quick", "--out", str(folder / "run.txt")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert (folder / "run.txt").read_text(encoding="utf-8") == run.stdout
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def test_vowels_are_told_after_a_short_search(tmp_path):
    found = numbers_of("vowels", tmp_path)["vowels"]
    assert set(found["best"]) == {"pooling"}
    assert min(found["cv accuracy"], found["test accuracy"]) > 0.8


def test_rows_of_images_are_told_as_well_as_whole_images(tmp_path):
    numbers = numbers_of("rows", tmp_path)
    whole, rows = (numbers[name]["accuracy"] for name in ("MLPClassifier", "RNNClassifier, tuned"))
    assert min(whole) > 0.95
    assert min(rows) > 0.95


def check_characters(numbers):
    """Each program has learned something, if not much, and the same as its peers."""
    text, passes = numbers["text"], numbers["min-char-rnn"]
    assert text["train"] > 9 * text["test"] - 9 > 100_000
    frequencies = text["bits per character"]["frequencies"]
    assert max(text["bits per character"][name] for name in ("bz2", "xz")) < frequencies < 6
    assert len(passes) == 8
    for dtype in ("float64", "float32"):
        numpy, ours = (passes[f"{name}, 1 stream, {dtype}"] for name in ("NumPy", "cbptt"))
        assert abs(numpy[0]["bits"] - ours[0]["bits"]) < 0.5
    bits = numbers["curves"]["cbptt"]["bits"]
    assert bits[-1] < bits[0] < np.log2(text["different"])


def test_characters_are_learned_where_pytorch_is_not_installed(tmp_path):
    numbers = numbers_of("characters", tmp_path, without="torch")
    check_characters(numbers)
    assert set(numbers["curves"]) == {"cbptt"}
    told = (tmp_path / "run.txt").read_text(encoding="utf-8")
    assert "PyTorch is not installed, so its side is left out: pip install torch" in told


@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
def test_characters_are_learned_by_pytorch_loss_for_loss(tmp_path):
    numbers = numbers_of("characters", tmp_path)
    check_characters(numbers)
    ours, theirs = numbers["first losses"].values()
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert len(ours) == 8
    assert min(ours) < 0.9 * ours[0]
    ours, theirs = (numbers["curves"][name]["bits"] for name in ("cbptt", "PyTorch"))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)
