"""Japanese Vowels: which of nine speakers? A pipeline, searched on two processes."""

from __future__ import annotations

import time

from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from cbptt import PerTimestep, RNNClassifier, datasets
from real import spelled, to_the_end
from report import Report

GRID = {
    "rnn__hidden_layer_sizes": [32, 128],
    "rnn__learning_rate_init": [0.003, 0.01],
    "rnn__pooling": ["last", "mean", "max"],
    "rnn__dropout": [0.0, 0.2],
}
QUICK_GRID = {"rnn__pooling": ["last", "mean"]}
N_FOLDS = 5
N_EPOCHS, QUICK_EPOCHS = 60, 15


def run(report: Report, quick: bool) -> None:
    """Search by cross-validation; print the best parameters, its accuracies and the time."""
    vowels = datasets.load_japanese_vowels()
    report.line(
        f"Japanese Vowels: {len(vowels.X_train)} utterances to train, {len(vowels.X_test)} to "
        f"test, nine speakers"
    )
    network = RNNClassifier(**to_the_end(QUICK_EPOCHS if quick else N_EPOCHS), random_state=0)
    search = GridSearchCV(
        Pipeline([("scale", PerTimestep(StandardScaler())), ("rnn", network)]),
        QUICK_GRID if quick else GRID,
        cv=StratifiedKFold(N_FOLDS, shuffle=True, random_state=0),
        n_jobs=2,
    )
    started = time.perf_counter()
    search.fit(vowels.X_train, vowels.y_train)
    seconds = time.perf_counter() - started

    best = {name.removeprefix("rnn__"): value for name, value in search.best_params_.items()}
    accuracy = search.score(vowels.X_test, vowels.y_test)
    report.raw["vowels"] = {
        "best": best,
        "cv accuracy": search.best_score_,
        "test accuracy": accuracy,
        "seconds": seconds,
    }
    n_candidates = len(search.cv_results_["params"])
    report.line(f"best of {n_candidates} candidates: {spelled(best)}")
    report.line(f"accuracy, mean of {N_FOLDS} folds: {search.best_score_:.3f}")
    report.line(f"test accuracy: {accuracy:.3f}")
    report.line(f"{n_candidates * N_FOLDS + 1} fits on two processes: {seconds:.1f} s")
