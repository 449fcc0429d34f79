"""Which of nine speakers says /ae/? Ragged sequences through scikit-learn's tools.

Shows that a recurrent network stands where any scikit-learn classifier does: the sequences are a
plain list of arrays of 7 to 29 frames, a pipeline scales them, a grid search cross-validates it,
and nothing is padded. A classifier that sees only each utterance's mean frame is the measure.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cbptt import RNNClassifier, datasets

Sequences = Sequence[NDArray[np.floating]]


class StepScaler(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Standardise each variable with its mean and deviation over all steps of all sequences."""

    def fit(self, X: Sequences, y: Any = None) -> Self:
        steps = np.concatenate(X)
        self.mean_, self.scale_ = steps.mean(axis=0), steps.std(axis=0)
        return self

    def transform(self, X: Sequences) -> list[NDArray[np.floating]]:
        return [(x - self.mean_) / self.scale_ for x in X]


def main() -> None:
    vowels = datasets.load_japanese_vowels()
    X_train, X_test = vowels.X_train.to_list(), vowels.X_test.to_list()
    y_train, y_test = vowels.y_train, vowels.y_test
    print(f"{len(X_train)} utterances to train, {len(X_test)} to test, nine speakers")
    print(f"the first three: {', '.join(str(x.shape) for x in X_train[:3])} (frames, variables)")

    search = GridSearchCV(
        make_pipeline(StepScaler(), RNNClassifier(tol=0.001, random_state=0)),
        {
            "rnnclassifier__hidden_layer_sizes": [16, 64],
            "rnnclassifier__learning_rate_init": [0.004, 0.012],
        },
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
    )
    start = time.perf_counter()
    search.fit(X_train, y_train)
    seconds = time.perf_counter() - start

    print("\nunits  learning rate  accuracy, mean of 3 folds")
    results = search.cv_results_
    for parameters, score in zip(results["params"], results["mean_test_score"], strict=True):
        units, rate = parameters.values()
        print(f"{units:5}  {rate:13}  {score:.3f}")
    n_fits = 3 * len(results["params"]) + 1
    print(f"{n_fits} fits in {seconds:.1f} s")

    means_train, means_test = _means(X_train), _means(X_test)
    baseline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    baseline.fit(means_train, y_train)
    print()
    for name, predicted in (
        ("mean frame, logistic regression", baseline.predict(means_test)),
        ("recurrent network", search.predict(X_test)),
    ):
        n_wrong = np.count_nonzero(predicted != y_test)
        print(f"test accuracy, {name}: {1 - n_wrong / len(y_test):.3f} ({n_wrong} wrong)")


def _means(X: Sequences) -> NDArray[np.floating]:
    """(n, 12): each utterance's mean frame."""
    return np.stack([x.mean(axis=0) for x in X])


if __name__ == "__main__":
    main()
