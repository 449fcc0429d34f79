"""The examples run without a warning, and their figures are what they claim to show."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def output_of(name):
    """What the example prints, with every warning an error."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def figure(output, label):
    """The number after "label: "."""
    (found,) = re.findall(rf"^{re.escape(label)}: +([\d.]+)", output, re.MULTILINE)
    return float(found)


def test_every_example_is_run_here():
    tested = re.findall(r'output_of\("(\w+\.py)"\)', Path(__file__).read_text(encoding="utf-8"))
    assert sorted(tested) == sorted(path.name for path in EXAMPLES.glob("*.py"))


def test_vowels_are_told_by_a_searched_network():
    output = output_of("vowels.py")
    assert figure(output, "test accuracy, mean frame, logistic regression") > 0.95
    assert figure(output, "test accuracy, recurrent network") > 0.93
    folds = re.findall(r"^ +(?:16|64) +0\.\d+ +(0\.\d+)$", output, re.MULTILINE)
    assert len(folds) == 4
    assert min(map(float, folds)) > 0.8


def test_only_the_exclusive_or_of_the_bits_before_is_foreseen():
    output = output_of("temporal_xor.py")
    assert figure(output, "position 3 (exclusive or)") < 0.05
    # The best guess at a random bit is 1/2, and errs by 1/4.
    for label in ("position 1 (random)", "position 2 (random)"):
        assert 0.24 < figure(output, label) < 0.32


def test_sines_are_foreseen_better_than_by_a_linear_rule():
    output = output_of("sine.py")
    noise, network, linear, persistence = (
        figure(output, label)
        for label in ("noise", "recurrent network", "linear, last 10 values", "persistence")
    )
    assert noise < network < 0.8 * linear < linear < persistence
    errors = [
        figure(output, label) for label in ("steps 1 to 5", "steps 6 to 10", "steps 11 to 20")
    ]
    assert errors == sorted(errors, reverse=True)


def test_a_text_is_written_on_by_a_network_that_knows_more_than_frequencies():
    output = output_of("min_char_rnn.py")
    assert figure(output, "recurrent network") < 2.6 < 4 < figure(output, "from frequencies alone")
    epochs = re.findall(r"^ +\d +[\d.]+ +([\d.]+)$", output, re.MULTILINE)
    assert len(epochs) == 8
    assert sorted(epochs, reverse=True)[:4] == epochs[:4]
    written = output.partition("goes on from 'The ':\n\n")[2]
    assert len(written) == len("The ") + 500 + len("\n")
    from pydoc_data.topics import topics

    known = set(re.findall(r"[a-z]{3,}", " ".join(topics.values())))
    words = re.findall(r"\b[a-z]{3,}\b", written)
    assert len(words) > 20
    assert sum(word in known for word in words) > 0.5 * len(words)
