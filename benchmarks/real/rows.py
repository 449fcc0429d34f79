"""scikit-learn's digits read row by row, 8 steps of 8 pixels; beside MLPClassifier on all 64."""

from __future__ import annotations

import statistics
import time

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from cbptt import RNNClassifier
from real import spelled, to_the_end
from report import Report

# Chosen by cross-validation on the training images.
TUNED = {"hidden_layer_sizes": 100, "learning_rate_init": 0.005, "pooling": "max", "dropout": 0.1}
N_EPOCHS = 50
N_SEEDS, QUICK_SEEDS = 10, 1


def run(report: Report, quick: bool) -> None:
    """Fit each classifier from several seeds on one split; print mean accuracies and times."""
    digits = load_digits()
    images = digits.images.astype("float32") / 16  # (n, 8, 8), pixels from 0 to 1
    X_train, X_test, y_train, y_test = train_test_split(
        images, digits.target, test_size=0.25, stratify=digits.target, random_state=0
    )
    seeds = range(QUICK_SEEDS if quick else N_SEEDS)
    report.line(
        f"digits by rows: {len(X_train)} images to train, {len(X_test)} to test; means over "
        f"{len(seeds)} random_state, one thread"
    )
    report.line(f"RNNClassifier, tuned: {spelled(TUNED | to_the_end(N_EPOCHS))}")
    classifiers = {
        "MLPClassifier": (MLPClassifier(), (64,)),
        "RNNClassifier": (RNNClassifier(), (8, 8)),
        "RNNClassifier, tuned": (RNNClassifier(**TUNED, **to_the_end(N_EPOCHS)), (8, 8)),
    }
    for name, (model, shape) in classifiers.items():
        seconds, accuracies = [], []
        for seed in seeds:
            model.set_params(random_state=seed)
            started = time.perf_counter()
            model.fit(X_train.reshape(-1, *shape), y_train)
            seconds.append(time.perf_counter() - started)
            accuracies.append(float(model.score(X_test.reshape(-1, *shape), y_test)))
        report.raw[name] = {"seconds": seconds, "accuracy": accuracies}
        report.line(
            f"{name:21} test accuracy {statistics.mean(accuracies):.4f} "
            f"({min(accuracies):.4f} to {max(accuracies):.4f}), {statistics.mean(seconds):.2f} s"
        )
