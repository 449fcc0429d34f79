"""The real runs that need no download run, and learn something even when cut short."""

from __future__ import annotations

import json
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from processes import output_of

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PROGRAM = BENCHMARKS / "real_runs.py"


@pytest.fixture
def real(monkeypatch):
    """Import a module of benchmarks/real."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return lambda name: import_module(f"real.{name}")


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


def numbers_of(task, folder, *options, without=None):
    """What the quick run of a task keeps beside its text."""
    program = [str(PROGRAM)] if without is None else ["-c", WITHOUT, without, str(PROGRAM)]
    printed = output_of(*program, task, *options, "--quick", "--out", folder / "run.txt")
    assert (folder / "run.txt").read_text(encoding="utf-8") == printed
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
def test_a_forecast_is_the_network_run_on_what_it_tells(real):
    laser = real("laser")
    forecaster = laser.Network({"solver": "lbfgs", "max_iter": 20}, seed=0)
    series = (wave(300) - 100) / 35
    forecaster.fit(series[:200])
    starts = [200, 203, 250]
    ahead = forecaster.continued(series, starts)
    assert ahead.shape == (3, laser.HORIZON)
    for forecast, start in zip(ahead, starts, strict=True):
        heard = np.concatenate([series[:start], forecast])
        assert_allclose(forecaster.told(heard)[start - 1 :], forecast, rtol=1e-9, atol=1e-12)


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
    """Looks up what it is asked for, and tells it so many steps late, 0 or 1."""

    def __init__(self, late):
        self.late = late

    def fit(self, series):
        assert_allclose([series.mean(), series.std()], [0, 1], atol=1e-9)

    def told(self, series):
        return series[1 - self.late : len(series) - self.late]

    def continued(self, series, starts):
        return series[np.array(starts)[:, None] - self.late + np.arange(100)]


def test_only_who_tells_each_value_at_its_step_makes_no_error(real):
    laser, series = real("laser"), wave(800)
    starts = [500, 650]
    exact = laser.judge(Oracle(late=0), series[:500], series, 500, starts)
    assert exact.next_value == exact.forecast == exact.forecasts == 0
    assert_allclose(exact.first, series[500:600])

    late = laser.judge(Oracle(late=1), series[:500], series, 500, starts)
    true = np.stack([series[start : start + 100] for start in starts])
    told = np.stack([series[start - 1 : start + 99] for start in starts])
    squares = (told - true) ** 2
    assert_allclose(late.next_value, np.mean(np.diff(series[499:]) ** 2) / series[500:].var())
    assert_allclose(late.forecast, squares[0].mean() / true[0].var())
    assert_allclose(late.forecasts, squares.mean() / true.var())


def test_the_mean_has_a_normalised_error_of_1_and_what_diverges_an_infinite_one(real):
    nmse, true = real("laser").nmse, wave(50)
    assert_allclose(nmse(np.full(50, true.mean()), true), 1)
    assert nmse(np.full(50, 1e300), true) == np.inf
    assert nmse(np.full(50, np.nan), true) == np.inf


def test_parameters_are_chosen_by_what_was_not_fitted(real):
    laser, series = real("laser"), wave(1000)
    for fold in laser.FOLDS:  # what is asked for lies outside what is fitted on, and inside heard
        fitted, heard = set(range(1000)[fold.fitted]), range(1000)[fold.heard]
        asked = set(heard[fold.n_before :])
        for start in fold.starts:
            asked |= set(range(start, start + laser.HORIZON))
        assert heard.start == 0
        assert asked <= set(heard) - fitted
    candidates = [{"late": 1}, {"late": 0}, {"late": 1}]
    assert laser.chosen(lambda parameters, seed: Oracle(**parameters), candidates, series, 1) == (
        {"late": 0},
        {"late": 0},
    )


# ---- electricity --------------------------------------------------------------------------------

A_FUNCTION = """
def load_taylor():
    \"\"\"Some text, with [1, 2] in it.\"\"\"
    rslt = np.array([{numbers}])
    return rslt, [0.5]
"""


def weeks(n):
    """Half-hourly values that repeat every week but for a little noise, and a text of them."""
    t, rng = np.arange(n * 336), np.random.default_rng(0)
    season = 1000 * np.sin(2 * np.pi * t / 48) * (1 + 0.5 * np.sin(2 * np.pi * t / 336))
    values = np.round(30_000 + season + rng.normal(scale=100, size=len(t))).astype(int)
    return values, A_FUNCTION.format(numbers=", ".join(map(str, values))).encode()


def test_demand_is_read_out_of_the_text_of_a_function(real, monkeypatch):
    values, text = weeks(1)
    electricity = real("electricity")
    monkeypatch.setattr(electricity, "read_data", lambda *what: text)
    assert_array_equal(electricity.demand(), values)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_every_forecaster_of_the_demand_is_judged_on_the_same_days(real, monkeypatch):
    electricity, report = real("electricity"), import_module("report").Report(None)
    monkeypatch.setattr(electricity, "read_data", lambda *what: weeks(12)[1])
    naive = {"a week before": lambda y, horizon: y[-336:][:horizon]}
    monkeypatch.setattr(electricity, "MODELS", naive)
    monkeypatch.setattr(electricity, "find_spec", lambda name: True)
    electricity.run(report, quick=True)
    test = report.raw["electricity"]["test"]
    assert len(test) == 4
    for error in ("mase", "smape", "rmse"):
        assert test["a week before"][error] == test["the same time a week before"][error]
    assert 0 < test["RNNForecaster"]["mase"] < 10
    assert test["mean of 2 RNNForecaster"]["mase"] <= test["RNNForecaster"]["mase"]


# ---- cells ------------------------------------------------------------------------------------


def test_a_table_has_a_row_for_each_task_and_a_column_for_each_cell(tmp_path):
    tasks, cells = ("rows", "characters", "adding"), ("rnn", "bi-lstm")
    options = ("--tasks", ",".join(tasks), "--cell", ",".join(cells))
    found = numbers_of("cells", tmp_path, *options)["cells"]
    assert {name: list(fits) for name, fits in found.items()} == {
        "rows": list(cells),
        "characters": ["rnn"],  # windows of one direction
        "adding": list(cells),
    }
    assert all(reached > 0.5 for fits in found["rows"].values() for reached, _ in fits)
    *_, rows, characters, adding = (tmp_path / "run.txt").read_text(encoding="utf-8").splitlines()
    assert rows.startswith("rows")
    assert characters.split("|")[0].split()[-1] == "-"
    assert f"{found['adding']['bi-lstm'][0][0]:.4f}" in adding


def test_every_real_run_has_a_row_in_the_table_of_cells(real):
    tasks = set(import_module("real_runs").TASKS) - {"cells", "recall"}
    assert tasks | set(real("archive").NAMES) == set(real("cells").TASKS)


def test_sequences_of_the_archive_are_read_with_their_variables_and_classes(real):
    text = "#a comment\n@data\n\n1,2,3:4,5,6:up\n7.5,8:-9,1:down\n"
    X, y = real("archive").parse(text)
    assert [x.dtype for x in X] == [np.float32] * 2
    assert_array_equal(X[0], [[1, 4], [2, 5], [3, 6]])
    assert_array_equal(X[1], [[7.5, -9], [8, 1]])
    assert list(y) == ["up", "down"]


def test_a_cue_is_recalled_better_than_by_chance(tmp_path, real):
    numbers = numbers_of("recall", tmp_path)
    (fits,) = numbers["fits"].values()
    assert list(fits) == ["rnn", "gru", "lstm"]
    assert fits["lstm"][0]["test"] > 0.8 > 0.3 > 1 / real("recall").N_CUES
    assert len(real("figures").draw_recall(numbers).axes) == 2


def test_the_flow_of_the_gradient_is_that_of_the_equations(real):
    recall = real("recall")
    X, y = recall.draw(3, 4, np.random.default_rng(0))
    outputs = {"output_activation": "softmax", "loss": "log_loss", "readout": "last"}
    network = import_module("cbptt").RNN(20, 5, recall.N_CUES, **outputs, random_state=0)
    run, p = network.forward(X), network.parameters
    h = run.hidden
    nabla = (run.output - np.eye(recall.N_CUES)[y]) @ p["weight_ho"]  # dL/dh(T)
    expected = []
    for t in (3, 2, 1):
        nabla = (nabla * (1 - h[:, t] ** 2)) @ p["weight_hh"]  # dL/dh(t), counted from 1
        expected.append(np.linalg.norm(nabla, axis=1).mean())
    assert_allclose(recall.flow(network, X, y), expected[::-1], rtol=1e-12)
