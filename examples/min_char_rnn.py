"""A text learned character by character, and written on: Karpathy's min-char-rnn on real text.

Shows truncated backpropagation on one long sequence, and generation. The network reads a character
and tells the next one (Karpathy 2015, The unreasonable effectiveness of recurrent neural networks,
http://karpathy.github.io/2015/05/21/rnn-effectiveness): gradients flow back through 25 characters,
as there; but the text is cut into streams that are trained on side by side, and the solver is Adam.

The text comes with Python: what ``help()`` says on the language, ``pydoc_data.topics``, with each
paragraph once. It differs a little between versions of Python, and so do the figures. Another text
may be given, in UTF-8: ``python examples/min_char_rnn.py FILE``.

A one-hot character takes as many numbers as there are characters. So the text is encoded part by
part, in some tens of MB, and each call of ``partial_fit`` trains on one part.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cbptt import RNNSequenceClassifier

EPOCHS = 8
PART = 100_000
LEAST = 20  # characters: of fewer, the last tenth has none that follows another
N_START = 20

Characters = NDArray[np.str_]
OneHot = NDArray[np.bool_]


def read_text() -> tuple[str, str]:
    """What it is, and the text."""
    if len(sys.argv) > 1:
        name = sys.argv[1]
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            sys.exit(f"{name} cannot be read: {error}; expected a text file in UTF-8.")
        if len(text) < LEAST:
            sys.exit(f"{name} has {len(text)} characters; expected at least {LEAST}.")
        return name, text
    from pydoc_data.topics import topics

    pieces = (piece for name in sorted(topics) for piece in topics[name].split("\n\n"))
    paragraphs = dict.fromkeys(piece.strip("\n") for piece in pieces)
    version = ".".join(map(str, sys.version_info[:3]))
    return f"the help topics of Python {version}", "\n\n".join(paragraphs)


def one_hot(text: Characters, alphabet: Characters) -> OneHot:
    """(T, K): whether a character is the one of the column."""
    return np.equal(text[:, None], alphabet)


def parts(text: Characters) -> Iterator[Characters]:
    """Pieces of PART steps, each with the character that follows its last one."""
    for first in range(0, len(text) - 1, PART):
        yield text[first : first + PART + 1]


def bits_per_character(model: RNNSequenceClassifier, text: Characters) -> float:
    """What the next characters cost, given those before: the mean of -log2 of their probability."""
    alphabet = model.classes_
    log_p = model.predict_log_proba([one_hot(text[:-1], alphabet)])[0]
    following = np.searchsorted(alphabet, text[1:])
    return float(-log_p[np.arange(len(following)), following].mean() / np.log(2))


def bits_of_frequencies(train: Characters, test: Characters, alphabet: Characters) -> float:
    """The same, where nothing is known but how frequent each character is."""
    counts = 1 + one_hot(train, alphabet).sum(axis=0)
    told = np.log2(counts / counts.sum())[np.searchsorted(alphabet, test)]
    return float(-told.mean())


def main() -> None:
    name, text = read_text()
    characters = np.array(list(text))
    alphabet = np.unique(characters)
    train, test = np.split(characters, [len(characters) * 9 // 10])
    print(f"{name}: {len(text)} characters, {len(alphabet)} different; the last tenth is held out")

    model = RNNSequenceClassifier(
        128,
        bptt_steps=25,
        bptt_streams=True,
        batch_size=32,
        learning_rate_init=0.003,
        alpha=0,
        dtype="float32",
        random_state=0,
    )
    print("\nepoch  seconds  bits per character, held out")
    started = time.perf_counter()
    for epoch in range(1, EPOCHS + 1):
        for part in parts(train):
            X, y = one_hot(part[:-1], alphabet), part[1:]
            model.partial_fit([X], [y], classes=alphabet)
        seconds = time.perf_counter() - started
        print(f"{epoch:5}  {seconds:7.1f}  {bits_per_character(model, test):.3f}")

    print("\nbits per character, held out")
    print(f"from frequencies alone: {bits_of_frequencies(train, test, alphabet):.3f}")
    print(f"recurrent network:      {bits_per_character(model, test):.3f}")

    start = "".join(test[:N_START])
    written = model.sample(500, list(start), temperature=0.7, random_state=0)
    print(f"\nat temperature 0.7 it goes on from {start!r}, where what is held out begins:\n")
    print(start + "".join(written))


if __name__ == "__main__":
    main()
