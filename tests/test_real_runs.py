"""The real runs that need no download run, and learn something even when cut short."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PROGRAM = BENCHMARKS / "real_runs.py"


@pytest.fixture
def real(monkeypatch):
    """Import a module of benchmarks/real."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return lambda name: import_module(f"real.{name}")


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


def test_marked_numbers_are_added_up_even_from_before_the_window(tmp_path, real):
    numbers = numbers_of("adding", tmp_path)
    fits = {(fit["start"], fit["window"]): fit for fit in numbers["fits"]}
    adding = real("adding")
    assert list(fits) == [(start, window) for start in adding.STARTS for window in (None, 5)]
    for fit in fits.values():
        assert fit["errors"][-1] < 0.1 < adding.blind(20, 5)
    assert len(real("figures").draw_adding(numbers).axes) == 2


def test_one_number_is_marked_in_each_half_and_the_target_is_their_sum(real):
    adding = real("adding")
    X, y, second = adding.draw(20_000, 10, np.random.default_rng(0))
    marks = X[..., 1] == 1
    assert set(np.unique(X[..., 1])) == {0, 1}
    assert (marks[:, :5].sum(axis=1) == 1).all()
    assert (marks[:, 5:].sum(axis=1) == 1).all()
    assert_array_equal(marks[:, 5:].argmax(axis=1) + 5, second)
    assert_allclose((X[..., 0] * marks).sum(axis=1), y, rtol=1e-6)
    assert set(second) == set(range(5, 10))
    assert_allclose(np.mean((y - 1) ** 2), adding.ALWAYS_ONE, atol=0.005)


@pytest.mark.parametrize("window", [0, 3, 10, 14, 20])
def test_the_error_of_the_blind_is_that_of_the_mean_for_each_mark_before_the_window(real, window):
    adding = real("adding")
    X, y, _ = adding.draw(20_000, 20, np.random.default_rng(1))
    numbers, marks = X[:, 20 - window :, 0], X[:, 20 - window :, 1]
    told = (numbers * marks).sum(axis=1) + (2 - marks.sum(axis=1)) / 2
    assert_allclose(np.mean((told - y) ** 2), adding.blind(20, window), atol=0.005)


def test_a_curve_tells_the_error_that_was_last_measured(real):
    curve = real("adding").Curve([1.0, 2.0, 4.0], [1, 2, 4], [0.3, 0.2, 0.1], None, None, 0.0)
    assert [curve.at(t) for t in (0.5, 1, 1.9, 2, 3.9, 4, 9)] == [0.3, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1]


def wave(n):
    """A series that is easy to foretell, noise apart."""
    return 100 + 50 * np.sin(0.7 * np.arange(n)) + np.random.default_rng(0).normal(size=n)


@pytest.mark.filterwarnings("ignore:lbfgs stopped")
def test_a_forecast_is_the_network_stepped_on_what_it_tells(real):
    laser = real("laser")
    forecaster = laser.Network({"solver": "lbfgs", "max_iter": 20}, seed=0)
    series = (wave(300) - 100) / 35
    forecaster.fit(series[:200])
    starts = [200, 203, 250]
    ahead = forecaster.continued(series, starts)
    for forecast, start in zip(ahead, starts, strict=True):
        state = forecaster.model.start()
        for value in series[:start]:
            told, state = forecaster.model.step([value], state)
        for expected in forecast:
            assert_allclose(told[0], expected, rtol=1e-9, atol=1e-12)
            told, state = forecaster.model.step(told, state)
    assert_allclose(ahead[:, 0], forecaster.told(series)[np.array(starts) - 1], rtol=1e-9)


def test_an_echo_state_network_listens_up_to_the_start_and_then_to_itself(real):
    pytest.importorskip("reservoirpy")
    laser = real("laser")
    (parameters,) = laser.echoes(1)
    forecaster = laser.Echo(parameters, seed=0)
    series = (wave(300) - 100) / 35
    forecaster.fit(series[:200])
    ahead = forecaster.continued(series, [200, 210])
    heard = np.concatenate([series[:210], ahead[1]])
    assert_allclose(forecaster.told(heard)[209:], ahead[1], rtol=1e-9)
    assert_allclose(ahead[0, 0], forecaster.told(series)[199], rtol=1e-9)


class Oracle:
    """Knows a series, and tells it so many steps late."""

    def __init__(self, known, late):
        self.known, self.late = known, late

    def fit(self, series):
        self.n_train = len(series)
        assert abs(series.mean()) < 1e-9
        assert abs(series.std() - 1) < 1e-9
        self.scaled = (self.known - self.known[: self.n_train].mean()) / self.known[
            : self.n_train
        ].std()

    def told(self, series):
        return self.scaled[1 - self.late : len(series) - self.late]

    def continued(self, series, starts):
        begins = np.array(starts)[:, None] - self.late
        return self.scaled[begins + np.arange(100)]


def test_only_who_tells_each_value_at_its_step_makes_no_error(real):
    laser, series = real("laser"), wave(900)
    starts = [500, 650]
    exact = laser.judge(Oracle(series, late=0), series, 500, 300, starts)
    assert exact.next_value == 0
    assert exact.forecasts == [0, 0]
    assert_allclose(exact.first, series[500:600])

    late = laser.judge(Oracle(series, late=1), series, 500, 300, starts)
    assert_allclose(late.next_value, np.mean(np.diff(series[499:800]) ** 2) / series[500:800].var())
    for error, start in zip(late.forecasts, starts, strict=True):
        true = series[start : start + 100]
        assert_allclose(error, np.mean((true - series[start - 1 : start + 99]) ** 2) / true.var())


def test_the_mean_has_a_normalised_error_of_1_and_what_diverges_an_infinite_one(real):
    nmse, true = real("laser").nmse, wave(50)
    assert_allclose(nmse(np.full(50, true.mean()), true), 1)
    assert nmse(np.full(50, 1e300), true) == np.inf
    assert nmse(np.full(50, np.nan), true) == np.inf


def test_parameters_are_chosen_without_what_comes_after_the_training_set(real):
    laser = real("laser")
    candidates = [{"late": 3}, {"late": 0}, {"late": 1}]
    unseen = wave(2000)
    unseen[laser.N_TRAIN :] = np.nan

    def make(parameters, seed):
        return Oracle(unseen[: laser.N_TRAIN], **parameters)

    assert laser.chosen(make, candidates, unseen, 1) == ({"late": 0}, {"late": 0})
