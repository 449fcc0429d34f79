"""The real runs that need no download run, and learn something even when cut short."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "real_runs.py"


def numbers_of(task, folder):
    """What the quick run of a task keeps beside its text."""
    command = [sys.executable, str(PROGRAM), task, "--quick", "--out", str(folder / "run.txt")]
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
