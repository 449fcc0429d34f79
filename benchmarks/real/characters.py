"""A text learned character by character: beside min-char-rnn in NumPy, and a loop in PyTorch.

The text is what Python's ``help()`` says on the language, ``pydoc_data.topics``, each paragraph
once; its last tenth is held out. It differs a little between versions of Python.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import statistics
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pydoc_data.topics import topics
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import cbptt
from cbptt import RNNSequenceClassifier
from engines import installed
from real import spelled
from real.min_char import MinChar
from report import Report

# min-char-rnn's own sizes.
UNITS, WINDOW, RATE, CLIP = 100, 25, 0.1, 5.0
STREAMS = (32, 64)
N_CHARACTERS, QUICK_CHARACTERS = 100_000, 5_000
N_ROUNDS, QUICK_ROUNDS = 5, 1

# Of the learning curves. The steps of a stream are a multiple of the window, so that the windows
# of both programs are the same.
RECIPE = {
    "hidden_layer_sizes": 256,
    "batch_size": 32,
    "bptt_steps": 64,
    "learning_rate_init": 0.003,
    "max_grad_norm": 1.0,
    "alpha": 0,
    "random_state": 0,
}
QUICK_RECIPE = RECIPE | {"hidden_layer_sizes": 32, "batch_size": 8, "bptt_steps": 16}
N_EPOCHS, QUICK_EPOCHS = 15, 2
QUICK_WINDOWS = 40
PROOF_WINDOWS, PROOF_EPOCHS = (1, 4), 4
PROOF_TOLERANCE = 1e-4

Codes = NDArray[np.intp]


class Text(NamedTuple):
    """A text, as it is and as numbers from 0 up, one for each of its different characters."""

    train: str
    test: str
    train_codes: Codes
    test_codes: Codes
    n_different: int


def help_topics() -> Text:
    """The text, cut in two."""
    pieces = (piece for name in sorted(topics) for piece in topics[name].split("\n\n"))
    text = "\n\n".join(dict.fromkeys(piece.strip("\n") for piece in pieces))
    different, codes = np.unique(list(text), return_inverse=True)
    end = len(text) * 9 // 10
    return Text(text[:end], text[end:], codes[:end], codes[end:], len(different))


def one_hot(codes: Codes, n_different: int, dtype: str = "float32") -> NDArray[np.floating]:
    """(T, D), as a network reads characters."""
    return np.eye(n_different, dtype=dtype)[codes]


def bits(loss: float) -> float:
    """Bits per character, of a mean log loss."""
    return float(loss / np.log(2))


# ---- how many bits a character takes without a network ------------------------------------------


def bits_of_frequencies(text: Text) -> float:
    """Code the test text by the frequencies of the characters, told from the training text."""
    counts = 1 + np.bincount(text.train_codes, minlength=text.n_different)
    return float(-np.log2(counts / counts.sum())[text.test_codes].mean())


def bits_of(compress: Callable[[bytes], bytes], text: Text) -> float:
    """What the test text adds to the compressed training text."""
    train, whole = (len(compress(part.encode())) for part in (text.train, text.train + text.test))
    return 8 * (whole - train) / len(text.test)


def tell_text(report: Report, text: Text) -> None:
    """Print which text it is, and what simple models and compressors make of it."""
    digest = hashlib.sha256((text.train + text.test).encode()).hexdigest()
    version = ".".join(map(str, sys.version_info[:3]))
    baselines = {
        "frequencies": bits_of_frequencies(text),
        "bz2": bits_of(bz2.compress, text),
        "xz": bits_of(lzma.compress, text),
    }
    report.raw["text"] = {
        "python": version,
        "sha256": digest,
        "train": len(text.train),
        "test": len(text.test),
        "different": text.n_different,
        "bits per character": baselines,
    }
    report.line(
        f"the help topics of Python {version}, sha256 {digest[:12]}: {len(text.train)} characters "
        f"to train, {len(text.test)} to test, {text.n_different} different"
    )
    report.line(
        "bits per character of the test text: "
        + ", ".join(f"{name} {value:.3f}" for name, value in baselines.items())
        + "; compressors have read the training text before"
    )


# ---- beside min-char-rnn ------------------------------------------------------------------------


class Pass(NamedTuple):
    """Once through a text: its time, and the mean loss on the way, in bits per character."""

    seconds: float
    bits: float


def start_of(n_different: int, dtype: str) -> cbptt.RNN:
    """The network of min-char-rnn, with the starting values of RNNSequenceClassifier."""
    rng = np.random.default_rng(np.random.RandomState(0).randint(2**31))
    return cbptt.RNN(
        n_different,
        UNITS,
        n_different,
        output_activation="softmax",
        loss="log_loss",
        dtype=dtype,
        random_state=rng,
    )


def by_numpy(codes: Codes, n_different: int, dtype: str) -> Pass:
    """Train the loop in NumPy."""
    loop = MinChar(start_of(n_different, dtype).parameters, RATE)
    started = time.perf_counter()
    loss = loop.train(codes, WINDOW)
    return Pass(time.perf_counter() - started, bits(loss))


def by_cbptt(codes: Codes, n_different: int, dtype: str, n_streams: int) -> Pass:
    """Train RNNSequenceClassifier; the text is encoded before the clock runs.

    What is clipped is the norm of the mean gradient, and not the entries of the sum.
    """
    model = RNNSequenceClassifier(
        UNITS,
        solver="adagrad",
        learning_rate_init=RATE,
        bptt_steps=WINDOW,
        bptt_streams=n_streams > 1,
        batch_size=n_streams,
        max_grad_norm=CLIP,
        alpha=0,
        random_state=0,
    )
    X, y = one_hot(codes[:-1], n_different, dtype)[None], codes[None, 1:]
    started = time.perf_counter()
    model.partial_fit(X, y, classes=np.arange(n_different))
    return Pass(time.perf_counter() - started, bits(model.loss_))


def difference(codes: Codes, n_different: int) -> float:
    """The largest difference of the first window's gradients, relative to the largest entry."""
    network = start_of(n_different, "float64")
    inputs, targets = codes[:WINDOW], codes[1 : WINDOW + 1]
    loop = MinChar(network.parameters, RATE)
    _, ours, _ = loop.loss_and_gradients(inputs, targets, np.zeros(UNITS))
    X = one_hot(inputs, n_different, "float64")[None]
    _, theirs = network.loss_and_gradients(X, targets[None], reduction="sum")
    return max(float(np.abs(ours[n] - theirs[n]).max() / np.abs(ours[n]).max()) for n in ours)


def beside_min_char(report: Report, text: Text, quick: bool) -> None:
    """Time the passes of all, in turn; print characters per second and the factors."""
    codes = text.train_codes[: 1 + (QUICK_CHARACTERS if quick else N_CHARACTERS)]
    n_rounds, n_different = (QUICK_ROUNDS if quick else N_ROUNDS), text.n_different
    gap = difference(codes, n_different)
    if gap > 1e-10:
        raise RuntimeError(f"the gradients of min-char-rnn and of cbptt differ by {gap:.1e}")

    programs: dict[str, Callable[[], Pass]] = {}
    for dtype in ("float64", "float32"):
        programs[f"NumPy, 1 stream, {dtype}"] = lambda d=dtype: by_numpy(codes, n_different, d)
        for n in (1, *STREAMS):
            programs[f"cbptt, {n} stream{'s' * (n > 1)}, {dtype}"] = lambda d=dtype, n=n: by_cbptt(
                codes, n_different, d, n
            )
    results: dict[str, list[Pass]] = {name: [] for name in programs}
    for _ in range(n_rounds):
        for name, train in programs.items():
            results[name].append(train())

    report.line(
        f"\nmin-char-rnn, once through the first {len(codes) - 1} characters: {UNITS} units, "
        f"windows of {WINDOW}, AdaGrad with rate {RATE}; medians of {n_rounds}, one thread"
    )
    report.line(f"gradients of the first window differ by {gap:.0e} of the largest")
    report.line(f"{'':26}  characters/s  factor  bits per character on the way")
    rates = {
        name: (len(codes) - 1) / statistics.median(p.seconds for p in passes)
        for name, passes in results.items()
    }
    for name, rate in rates.items():
        numpy = rates[f"NumPy, 1 stream, {name[-len('float64') :]}"]
        told = results[name][0].bits
        report.line(f"{name:26}  {rate:12.0f}  {rate / numpy:6.1f}  {told:.3f}")
    report.raw["min-char-rnn"] = {
        name: [p._asdict() for p in passes] for name, passes in results.items()
    }


# ---- beside PyTorch -----------------------------------------------------------------------------


class Estimator:
    """RNNSequenceClassifier, epoch by epoch; the interface is that of `char_loop.CharLoop`."""

    def __init__(self, text: Codes, n_characters: int, parameters: dict[str, Any]) -> None:
        self.model = RNNSequenceClassifier(**parameters, bptt_streams=True)
        self.n_characters = n_characters
        self.X, self.y = one_hot(text[:-1], n_characters)[None], text[None, 1:]

    def epoch(self) -> float:
        """Go once through the text; return the mean loss on the way."""
        self.model.partial_fit(self.X, self.y, classes=np.arange(self.n_characters))
        return float(self.model.loss_)

    def loss(self, text: Codes) -> float:
        """Return the mean loss of a text that is read from its beginning."""
        X = one_hot(text[:-1], self.n_characters)[None]
        return self.model.network_.loss(X, text[None, 1:])


def first_losses(make: Callable[..., Any], text: Text, parameters: dict[str, Any]) -> list[float]:
    """Losses of the first steps of the solver: each for itself, and of windows that follow."""
    losses = []
    for n_windows in PROOF_WINDOWS:
        n = n_windows * parameters["batch_size"] * parameters["bptt_steps"]
        program = make(text.train_codes[: n + 1], text.n_different, parameters)
        losses += [program.epoch() for _ in range(PROOF_EPOCHS)]
    return losses


def prove(report: Report, programs: dict[str, Any], text: Text, parameters: dict[str, Any]) -> None:
    """See that both train the same network in the same way."""
    ours, theirs = (np.array(first_losses(make, text, parameters)) for make in programs.values())
    gap = float((np.abs(ours - theirs) / ours).max())
    report.raw["first losses"] = dict(zip(programs, (ours.tolist(), theirs.tolist()), strict=True))
    if gap > PROOF_TOLERANCE:
        raise RuntimeError(f"the losses of {', '.join(programs)} differ by {gap:.1e}")
    report.line(
        f"mean losses of {PROOF_EPOCHS} times the first window and {PROOF_EPOCHS} times the first "
        f"{PROOF_WINDOWS[1]}: {ours[0]:.5f} to {ours[-1]:.5f}; they differ by {gap:.0e} at the most"
    )


def beside_pytorch(report: Report, text: Text, quick: bool) -> None:
    """Train both, an epoch each in turn; print bits per character against seconds."""
    parameters = QUICK_RECIPE if quick else RECIPE
    n_epochs = QUICK_EPOCHS if quick else N_EPOCHS
    block = parameters["batch_size"] * parameters["bptt_steps"]
    n_windows = QUICK_WINDOWS if quick else (len(text.train) - 1) // block
    train = text.train_codes[: n_windows * block + 1]
    report.line(f"\nRNNSequenceClassifier({spelled(parameters)}), float32, one thread")
    report.line(f"an epoch is {len(train) - 1} characters, {n_windows} steps of the solver")

    programs: dict[str, Any] = {"cbptt": Estimator}
    if installed("torch"):
        from real.char_loop import CharLoop

        programs["PyTorch"] = CharLoop
        report.line(f"torch {metadata.version('torch')}")
        prove(report, programs, text, parameters)
    else:
        report.line("PyTorch is not installed, so its side is left out: pip install torch")

    trained = {name: make(train, text.n_different, parameters) for name, make in programs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    curves: dict[str, list[float]] = {name: [] for name in programs}
    report.line("epoch" + "".join(f"  {name:>7}: seconds, bits" for name in programs))
    for epoch in range(1, n_epochs + 1):
        for name, program in trained.items():
            started = time.perf_counter()
            program.epoch()
            seconds[name].append(time.perf_counter() - started)
            curves[name].append(bits(program.loss(text.test_codes)))
        cells = (f"  {sum(seconds[name]):16.2f}  {curves[name][-1]:.3f}" for name in programs)
        report.line(f"{epoch:5}" + "".join(cells))

    report.raw["curves"] = {
        name: {"seconds": seconds[name], "bits": curves[name]} for name in programs
    }
    per_character = {
        name: statistics.median(seconds[name]) / (len(train) - 1) * 1e6 for name in programs
    }
    for name, microseconds in per_character.items():
        report.line(
            f"{name}: {curves[name][-1]:.3f} bits per character after {sum(seconds[name]):.1f} s, "
            f"{microseconds:.2f} us a character, {microseconds / per_character['cbptt']:.2f}x"
        )


def run(report: Report, quick: bool) -> None:
    """Tell the text, then both comparisons."""
    text = help_topics()
    tell_text(report, text)
    beside_min_char(report, text, quick)
    beside_pytorch(report, text, quick)
