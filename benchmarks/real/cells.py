"""Every real run with each cell: what it reaches, and in what time, in one table.

A row has one setting, that of the tanh network: its parameters were chosen for that cell (see
README.md), and are not searched again for the others. The sets of the archive have the defaults.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cbptt import (
    PerTimestep,
    RNNClassifier,
    RNNForecaster,
    RNNRegressor,
    RNNSequenceClassifier,
    backtest,
    datasets,
)
from real import adding, archive, characters, digits, electricity, laser, rows, stress, to_the_end
from report import Report

VARIANTS = ("rnn", "gru", "lstm", "bi-rnn", "bi-gru", "bi-lstm")
DEFAULT_VARIANTS = ("rnn", "gru", "lstm", "bi-gru")

Cell = dict[str, Any]  # the parameters cell and bidirectional
Fitted = tuple[float, float]  # what was reached, and the seconds of the fit


class Task(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    measure : what is measured on the test data; "+" is better where larger, "-" where smaller
    setting : how much is trained
    fit : from the cell, random_state and whether only a trial is wanted, to what was reached
    n_seeds : how many random_state
    directions : 2 if whole sequences are read, and 1 if steps come one by one
    """

    measure: str
    setting: str
    fit: Callable[[Cell, int, bool], Fitted]
    n_seeds: int = 3
    directions: int = 2


def timed(model: Any, *data: Any) -> float:
    """Fit a model; return the seconds of the processor."""
    started = time.process_time()
    model.fit(*data)
    return time.process_time() - started


# ---- the tasks --------------------------------------------------------------------------------


def vowels(cell: Cell, seed: int, quick: bool) -> Fitted:
    """The speaker of Japanese Vowels, with the best parameters of the search of `vowels`."""
    data = datasets.load_japanese_vowels()
    parameters = to_the_end(5 if quick else 60)
    network = RNNClassifier(
        128, pooling="max", dropout=0.2, learning_rate_init=0.003, **parameters, **cell
    ).set_params(random_state=seed)
    model = make_pipeline(PerTimestep(StandardScaler()), network)
    seconds = timed(model, data.X_train, data.y_train)
    return model.score(data.X_test, data.y_test), seconds


utterances = cache(digits.utterances)


def spoken_digits(cell: Cell, seed: int, quick: bool) -> Fitted:
    """Which digit is spoken."""
    parameters = digits.RECIPE | to_the_end(2 if quick else digits.N_EPOCHS) | cell
    return tuple(digits.by_estimator(*utterances(), parameters, seed))


words = cache(stress.words)


def stressed_vowels(cell: Cell, seed: int, quick: bool) -> Fitted:
    """The stress of vowels, of words that are read once."""
    train, test = train_test_split(words(), test_size=0.2, random_state=0)
    model = RNNSequenceClassifier(
        **stress.PARAMETERS,
        **to_the_end(1 if quick else stress.N_EPOCHS),
        **cell,
        missing_label=stress.UNLABELLED,
        random_state=seed,
    )
    scores = stress.fit_and_score(model, train[:2000] if quick else train, test)
    return scores["accuracy"], scores["seconds"]


def rows_of_images(cell: Cell, seed: int, quick: bool) -> Fitted:
    """Images of digits, row by row."""
    X_train, X_test, y_train, y_test = train_test_split(
        load_digits().images.astype("float32") / 16,
        load_digits().target,
        test_size=0.25,
        stratify=load_digits().target,
        random_state=0,
    )
    epochs = to_the_end(5 if quick else rows.N_EPOCHS)
    model = RNNClassifier(**rows.TUNED, **epochs, **cell, random_state=seed)
    seconds = timed(model, X_train, y_train)
    return model.score(X_test, y_test), seconds


def text(cell: Cell, seed: int, quick: bool) -> Fitted:
    """Bits per character of a text that was held out."""
    data = characters.help_topics()
    recipe = characters.QUICK_RECIPE if quick else characters.RECIPE
    learner = characters.Estimator(
        data.train_codes[: 20_000 if quick else None],
        data.n_different,
        recipe | cell | {"random_state": seed},
    )
    started = time.process_time()
    for _ in range(1 if quick else CHARACTER_EPOCHS):
        learner.epoch()
    seconds = time.process_time() - started
    return characters.bits(learner.loss(data.test_codes)), seconds


demand = cache(electricity.demand)


def demand_ahead(cell: Cell, seed: int, quick: bool) -> Fitted:
    """The demand for electricity a day ahead, in the last four weeks."""
    y = demand()
    X = electricity.calendar(len(y))
    model = RNNForecaster(
        32,
        lags=[1, 2, 3, electricity.DAY, electricity.WEEK],
        **electricity.COMMON,
        **to_the_end(10 if quick else electricity.N_EPOCHS),
        **cell,
        random_state=seed,
    )
    started = time.process_time()
    found = backtest(
        model,
        y,
        X=X,
        horizon=electricity.DAY,
        stride=electricity.DAY,
        season_length=electricity.WEEK,
        min_train=electricity.CHOSEN_BY,
        refit=7,
    )
    return found.scores.mase, time.process_time() - started


intensities = cache(laser.read_laser)


def next_intensity(cell: Cell, seed: int, quick: bool) -> Fitted:
    """Each next value of the laser, after its training set."""
    series = intensities()[: laser.N_TRAIN + laser.N_NEXT]
    parameters = {"solver": "lbfgs", "alpha": 0.01, "max_iter": 10 if quick else 500}
    network = laser.Network(parameters | {"init": "uniform"} | cell, seed)
    starts = range(laser.N_TRAIN, len(series), laser.HORIZON)
    found = laser.judge(network, series[: laser.N_TRAIN], series, laser.N_TRAIN, starts)
    return found.next_value, found.seconds


def marked_numbers(cell: Cell, seed: int, quick: bool) -> Fitted:
    """The sum of two marked numbers among a hundred."""
    T = 20 if quick else 100
    model = RNNRegressor(**adding.COMMON, **cell, learning_rate_init=ADDING_RATE, random_state=seed)
    curve = adding.learn(
        model,
        T,
        seconds=np.inf,
        most=5 if quick else ADDING_EPOCHS,
        test=adding.draw(adding.N_TEST, T, np.random.default_rng([T, 1])),
        rng=np.random.default_rng([T, 0]),
    )
    return curve.errors[-1], curve.seconds[-1]


sets = cache(archive.load)


def of_the_archive(name: str) -> Callable[[Cell, int, bool], Fitted]:
    """Return the fit of a set, with the defaults of RNNClassifier and scaled variables."""

    def fit(cell: Cell, seed: int, quick: bool) -> Fitted:
        train, test = sets()[name]
        network = RNNClassifier(**cell, random_state=seed)
        if quick:
            network.set_params(max_iter=5)
        model = make_pipeline(PerTimestep(StandardScaler()), network)
        seconds = timed(model, train.X, train.y)
        return model.score(test.X, test.y), seconds

    return fit


CHARACTER_EPOCHS = 3
ADDING_RATE, ADDING_EPOCHS = 0.001, 100
TASKS = {
    "vowels": Task("accuracy +", "60 epochs", vowels),
    "digits": Task("accuracy +", "30 epochs", spoken_digits),
    "stress": Task("accuracy +", "10 epochs, words read once", stressed_vowels, n_seeds=1),
    "rows": Task("accuracy +", "50 epochs", rows_of_images),
    "characters": Task("bits -", f"{CHARACTER_EPOCHS} of 15 epochs", text, 1, directions=1),
    "electricity": Task("MASE -", "1000 epochs", demand_ahead, directions=1),
    "laser": Task("next, error -", "L-BFGS, 500", next_intensity, directions=1),
    "adding": Task(
        "squared error -", f"T = 100, {ADDING_EPOCHS} epochs of 1000", marked_numbers, 1
    ),
} | {name: Task("accuracy +", "defaults", of_the_archive(name), 5) for name in archive.NAMES}


# ---- the table --------------------------------------------------------------------------------


def parameters_of(variant: str) -> Cell:
    """Return the parameters of "gru", or of "bi-gru" with two directions."""
    return {
        "cell": variant.removeprefix("bi-"),
        "bidirectional": variant.startswith("bi-"),
    }


def run(
    report: Report, quick: bool, tasks: tuple[str, ...] = (), cell: tuple[str, ...] = ()
) -> None:
    """Fit every task with every cell; print a row for each task."""
    tasks, cells = tasks or tuple(TASKS), cell or DEFAULT_VARIANTS
    report.line("every cell has the parameters of the tanh network; bi-: both directions")
    report.line("means over n random_state: +, larger is better; -, smaller is better; then the")
    report.line("seconds of the processor for a fit, with one thread")
    report.line()
    names = "".join(f"{cell:>9}" for cell in cells)
    report.line(f"{'':22}{'measure':16}{'setting':31}n{names}  | s:{names[5:]}")
    report.raw["cells"] = found = dict[str, dict[str, list[Fitted]]]()
    for name in tasks:
        task = TASKS[name]
        seeds = range(1 if quick else task.n_seeds)
        found[name] = {
            cell: [task.fit(parameters_of(cell), seed, quick) for seed in seeds]
            for cell in cells
            if task.directions == 2 or not cell.startswith("bi-")
        }
        reached, seconds = (
            [mean_of(found[name].get(cell, []), which) for cell in cells] for which in (0, 1)
        )
        values = "".join(
            f"{value:>9}" for value in (f"{v:.4f}" if v >= 0 else "-" for v in reached)
        )
        times = "".join(f"{value:>9}" for value in (f"{v:.2f}" if v >= 0 else "-" for v in seconds))
        setting = "a trial" if quick else task.setting
        report.line(f"{name:22}{task.measure:16}{setting:29}{len(seeds):3}{values}  |{times}")


def mean_of(fits: list[Fitted], which: int) -> float:
    """Return the mean of what was reached (0) or of the seconds (1); NaN of no fits."""
    return statistics.fmean(fit[which] for fit in fits) if fits else float("nan")
