"""``python -m cbptt``: a demonstration that takes seconds, and what the package runs on."""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
import textwrap
import time
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import numpy as np
from numpy.typing import NDArray

from cbptt.config import show_versions, versions
from cbptt.data.ragged import Ragged
from cbptt.displays import HiddenStateDisplay, TrainingCurveDisplay
from cbptt.network import RNN

if TYPE_CHECKING:
    from cbptt.estimators import RNNClassifier

WIDTH = 80
MAX_ITER = 100
NAMES = {"rnn": "tanh", "gru": "GRU", "lstm": "LSTM"}
N_CHECKED = 50  # entries of each parameter array in the gradient check


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code."""
    parser = _Parser(prog="python -m cbptt", description="Recurrent networks for scikit-learn.")
    commands = parser.add_subparsers(dest="command", metavar="command")
    demo = commands.add_parser(
        "demo",
        help="train a network to distinguish nine speakers, in seconds",
        description="Train a network to distinguish nine speakers (Japanese Vowels), check its "
        "gradient, and say how well and how fast that went.",
    )
    demo.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the losses and the hidden states into FILE"
    )
    demo.add_argument(
        "--cell", choices=("rnn", "gru", "lstm"), default="rnn", help="default: rnn, tanh units"
    )
    demo.add_argument("--seed", type=_seed, default=0, metavar="N", help="default: 0")
    commands.add_parser(
        "info",
        help="print what is installed and what it runs on",
        description="Print what is installed and what it runs on.",
    )
    chosen = parser.parse_args(arguments)

    if chosen.command is None:
        parser.error("expected a command, demo or info; --help says what they do")
    if chosen.command == "info":
        show_versions()
        return 0
    if chosen.plot is not None:
        _check_plot(demo, chosen.plot)
    try:
        _demo(chosen.cell, chosen.seed, chosen.plot)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader has read enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected an integer from 0 to 2**32 - 1")
    return int(text)


def _check_plot(parser: _Parser, file: Path) -> None:
    """Find out before the training whether a figure can be written to `file`."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        parser.error('--plot needs matplotlib; install it with: pip install "cbptt[plot]"')
    formats = Figure().canvas.get_supported_filetypes()
    if file.suffix.lower().removeprefix(".") not in formats:
        parser.error(f"--plot got {str(file)!r}; expected a name that ends in .png, .svg or .pdf")
    existed = file.exists()
    try:
        with file.open("ab"):
            pass
    except OSError as cause:
        parser.error(f"--plot cannot write {str(file)!r}: {cause.strerror}")
    if not existed:
        file.unlink()


# ---- demo -------------------------------------------------------------------------------------


def _demo(cell: str, seed: int, plot: Path | None) -> None:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import confusion_matrix

    from cbptt.datasets import load_japanese_vowels
    from cbptt.estimators import RNNClassifier

    vowels = load_japanese_vowels()
    steps = vowels.X_train.values
    mean, deviation = steps.mean(axis=0, dtype=np.float64), steps.std(axis=0, dtype=np.float64)
    X_train = _standardised(vowels.X_train, mean, deviation)
    X_test = _standardised(vowels.X_test, mean, deviation)
    print(
        f"Japanese Vowels: which of nine speakers says /ae/?\n"
        f"64 {NAMES[cell]} units learn it from {len(X_train)} utterances of "
        f"{X_train.lengths.min()} to {X_train.lengths.max()} frames, tested on {len(X_test)}."
    )

    model = RNNClassifier(
        64, cell=cell, learning_rate_init=0.004, max_iter=MAX_ITER, random_state=seed, verbose=True
    )
    print()
    progress = _Progress(sys.stdout)
    with warnings.catch_warnings(), redirect_stdout(progress):
        # max_iter is the time to spend here, so using it up is no failure.
        warnings.filterwarnings("ignore", ".*Maximum iterations", ConvergenceWarning)
        start = time.perf_counter()
        model.fit(X_train, vowels.y_train)
        seconds = time.perf_counter() - start
    progress.finish()

    predicted = model.predict(X_test)
    print()
    print(f"train accuracy: {model.score(X_train, vowels.y_train):.3f}")
    print(f"test accuracy: {np.mean(predicted == vowels.y_test):.3f}")
    print(
        f"training time: {seconds:.2f} s, {model.n_iter_} epochs of "
        f"{1000 * seconds / model.n_iter_:.1f} ms"
    )
    print(f"parameters: {model.network_.theta.size}")
    _say(_gradient_check(model, X_train, vowels.y_train))
    machine = versions()
    _say(
        f"machine: {machine['processor']}, {machine['cpus']} CPUs, kernels {machine['kernels']}, "
        f"BLAS {machine['blas']}"
    )

    print("\ntest utterances, by speaker (rows) and answer (columns)")
    print(_table(confusion_matrix(vowels.y_test, predicted), model.classes_))
    if plot is not None:
        _draw(plot, model, X_test, vowels)
        print(f"\nfigure: {plot}")


def _standardised(X: Ragged, mean: NDArray[Any], deviation: NDArray[Any]) -> Ragged:
    return Ragged(((X.values - mean) / deviation).astype(np.float32), X.offsets)


def _gradient_check(model: RNNClassifier, X: Ragged, y: NDArray[Any]) -> str:
    """Check the gradient of the fitted network, in float64, on an utterance of each speaker."""
    labels, first = np.unique(y, return_index=True)
    network: RNN = model.network_.astype(np.float64)
    errors = network.check_gradients(
        X[first], np.searchsorted(model.classes_, labels), max_entries=N_CHECKED
    )
    return (
        f"gradient check: largest relative error {max(errors.values()):.1e}, against central "
        f"differences of the loss (float64, {len(first)} utterances, up to {N_CHECKED} entries of "
        f"each parameter array)"
    )


def _table(counts: NDArray[Any], labels: NDArray[Any]) -> str:
    """Counts (K, K) as aligned text, with the share of each row on the diagonal."""
    lines = ["speaker " + "".join(f"{label:5}" for label in labels) + "   right"]
    for label, row, right in zip(labels, counts, counts.diagonal(), strict=True):
        cells = "".join(f"{count or '.':>5}" for count in row)
        lines.append(f"{label:7} {cells}  {right / row.sum():6.1%}")
    return "\n".join(lines)


def _draw(file: Path, model: RNNClassifier, X: Ragged, vowels: Any) -> None:
    """Draw the losses and what happens in the network during the longest test utterance."""
    from matplotlib.figure import Figure

    fitted: RNN = model.network_
    network = RNN(
        fitted.n_inputs,
        fitted.hidden_size,
        fitted.n_outputs,
        cell=fitted.cell,
        output_activation="softmax",
        loss="log_loss",
        readout="every",  # the answer after every frame, not only after the last
        dtype=fitted.dtype,
    )
    network.theta = fitted.theta
    longest = int(X.lengths.argmax())
    run = network.forward([X[longest]])

    figure = Figure(figsize=(7.2, 9.0), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[1, 2.6])
    TrainingCurveDisplay(model.loss_curve_).plot(above)
    above.set_title("Loss of each epoch", loc="left")
    states = HiddenStateDisplay(
        run.hidden[0], X[longest], run.output[0], output_names=vowels.target_names
    ).plot(below)
    speaker = vowels.target_names[vowels.y_test[longest] - 1]
    states.axes_["inputs"].set_title(f"A test utterance of {speaker}, frame by frame", loc="left")
    figure.savefig(file, dpi=150)


# ---- words ------------------------------------------------------------------------------------


def _say(text: str) -> None:
    print(textwrap.fill(text, WIDTH, subsequent_indent="  "))


class _Progress(io.TextIOBase):
    """Takes what a fit prints, a line for each epoch, and shows how far it is.

    On a terminal one line is written over and over; elsewhere every tenth epoch is a line.
    """

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.rewrites = out.isatty()
        self.waiting = ""

    def write(self, text: str) -> int:
        for epoch, loss in re.findall(r"Iteration (\d+), loss = (\S+)", text):
            self._show(int(epoch), float(loss))
        return len(text)

    def _show(self, epoch: int, loss: float) -> None:
        line = f"epoch {epoch:3} of at most {MAX_ITER}   loss {loss:.4f}"
        if self.rewrites:
            bar = "#" * (30 * epoch // MAX_ITER)
            self.out.write(f"\r{line}   [{bar:.<30}]")
        elif epoch == 1 or epoch % 10 == 0:
            self.out.write(f"{line}\n")
            self.waiting = ""
        else:
            self.waiting = f"{line}\n"
        self.out.flush()

    def finish(self) -> None:
        """Leave the last epoch on a line of its own."""
        self.out.write("\n" if self.rewrites else self.waiting)


if __name__ == "__main__":
    sys.exit(main())
