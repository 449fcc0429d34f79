"""The study of forecast intervals knows its processes, and the guide shows what it found."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

ROOT = Path(__file__).parents[1]
AIMS = {0.9: (0.87, 0.93), 0.8: (0.77, 0.83)}


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return import_module("studies.intervals")


def test_the_future_is_distributed_as_the_study_says(study: Any) -> None:
    for process in study.PROCESSES.values():
        drawn = [process(np.random.default_rng(i), 20) for i in range(200)]
        z = np.stack([(one.future - one.mean) / one.deviation for one in drawn])
        assert np.abs(z.mean(axis=0)).max() < 4.5 / np.sqrt(200)
        assert np.abs(np.square(z).mean(axis=0) - 1).max() < 4.5 * np.sqrt(2 / 200)


def test_intervals_of_the_true_model_have_its_coverage_and_width(study: Any) -> None:
    drawn = [study.shift(np.random.default_rng(i), 20) for i in range(3)]
    reach = 1.6448536  # of the standard normal distribution, on tables
    intervals = [one.mean[:, None] + reach * one.deviation[:, None] * [-1, 1] for one in drawn]
    found = study.compare(drawn, intervals, 0.9)
    assert_allclose(found["by step"], 0.9, rtol=1e-6)
    assert_allclose(found["widths"], 1, rtol=1e-6)
    assert_allclose(found["errors"], 0, atol=1e-9)
    wider = study.compare(drawn, [np.add(one, [-9, 9]) for one in intervals], 0.9)
    assert wider["hits"] == 1


def test_the_guide_shows_the_coverages_and_widths_that_the_study_found() -> None:
    text = (ROOT / "benchmarks/results/intervals.txt").read_text("utf-8")
    guide = (ROOT / "docs/forecasting.md").read_text("utf-8")
    shown = re.findall(
        r"^\| (\S.*?) \| (\d+) \| (\d.*?) \| (\d.*?) \| (\d.*?) \| (\d.*?) \|$", guide, re.M
    )
    found = []
    for name, T, *lines in re.findall(r"^(\S.*), T = (\d+)\n  (0.9: .*)\n  (0.8: .*)$", text, re.M):
        spans = []
        for line in lines:
            coverage, steps, error, width = re.match(
                r"(\S+): ([\d. ]+)  se (\S+)  hits \S+  width (.*)$", line
            ).groups()  # type: ignore[union-attr]
            covered = [float(step) for step in steps.split()]
            low, high = AIMS[float(coverage)]
            assert low - float(error) < min(covered)
            assert max(covered) < high + float(error)
            spans += [f"{min(covered):.3f} to {max(covered):.3f}", width]
        found.append((name, T, *spans))
    assert shown == found
    assert len(found) == 10
