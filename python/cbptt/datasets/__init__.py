"""Data sets that come with the package: nothing is downloaded."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from cbptt.data.ragged import Ragged

if TYPE_CHECKING:
    from sklearn.utils import Bunch

__all__ = ["load_japanese_vowels"]


def load_japanese_vowels() -> Bunch:
    """Load the Japanese Vowels: which of nine speakers says /ae/?

    Nine male speakers utter the two Japanese vowels /ae/ one after the other. An utterance is a
    sequence of 7 to 29 frames (25.6 ms each, one every 6.4 ms) of 12 LPC cepstrum coefficients.
    The split is the published one: 270 utterances for training, 30 of each speaker, and 370 for
    testing, 24 to 88 of each, spoken on other occasions.

    Returns
    -------
    sklearn.utils.Bunch
        A dict whose keys are attributes too:

        - X_train : Ragged of 270 sequences, 4274 steps of 12 features in all, float32; not scaled
        - y_train : (270,) ndarray of int, the speaker of each sequence, 1 to 9
        - X_test : Ragged of 370 sequences, 5687 steps in all
        - y_test : (370,) ndarray of int
        - feature_names : list of 12 str, "cepstrum 1" to "cepstrum 12"
        - speaker : list of 9 str, "speaker 1" to "speaker 9": ``speaker[y - 1]``. The speakers are
          known by number only.
        - target_names : the same list, under the name that scikit-learn's data sets have
        - DESCR : str, where the data come from, their licence and what was changed

    Notes
    -----
    From M. Kudo, J. Toyama, M. Shimbo: Multidimensional curve classification using
    passing-through regions, Pattern Recognition Letters 20 (1999) 1103-1111; UCI Machine Learning
    Repository, https://doi.org/10.24432/C5NS47, licence CC BY 4.0. Changed: flat arrays in place
    of text files, float32.

    Examples
    --------
    >>> from cbptt.datasets import load_japanese_vowels
    >>> vowels = load_japanese_vowels()
    >>> vowels.X_train
    Ragged(n=270, steps=4274, features=12, lengths 7..26, float32)
    """
    from sklearn.utils import Bunch

    data = resources.files(__name__) / "data"
    contents = {}
    with (data / "japanese_vowels.npz").open("rb") as file, np.load(file) as arrays:
        for part in ("train", "test"):
            lengths = arrays[f"{part}_lengths"]
            # a plane for each byte of the integers, a row of them for each feature: packs well
            millionths = arrays[f"{part}_millionths"].T.copy().view("<i4").reshape(12, -1)
            values = np.ascontiguousarray(millionths.T / 1e6, np.float32)
            contents[f"X_{part}"] = Ragged.from_flat(values, lengths)
            contents[f"y_{part}"] = arrays[f"{part}_speaker"].astype(np.int64)
    speaker = [f"speaker {i}" for i in range(1, 10)]
    return Bunch(
        **contents,
        feature_names=[f"cepstrum {i}" for i in range(1, 13)],
        speaker=speaker,
        target_names=speaker,
        DESCR=(data / "README.md").read_text(encoding="utf-8"),
    )
