"""The examples run without a warning, and their figures are what they claim to show."""

from __future__ import annotations

import re
import runpy
import sys
import warnings
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def output_of(monkeypatch, capsys):
    """Run an example in this process, which is quicker than another, and return what it prints."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        with warnings.catch_warnings():
            warnings.filterwarnings("error", module="__main__")
            runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def figure(output, label):
    """The number after "label: "."""
    (found,) = re.findall(rf"^{re.escape(label)}: +([\d.]+)", output, re.MULTILINE)
    return float(found)


def test_every_example_is_run_here():
    tested = re.findall(r'output_of\("(\w+\.py)"\)', Path(__file__).read_text(encoding="utf-8"))
    assert sorted(tested) == sorted(path.name for path in EXAMPLES.glob("*.py"))


def test_vowels_are_told_by_a_searched_network(output_of):
    output = output_of("vowels.py")
    assert figure(output, "test accuracy, mean frame, logistic regression") > 0.95
    assert figure(output, "test accuracy, recurrent network") > 0.93
    folds = re.findall(r"^ +(?:16|64) +0\.\d+ +(0\.\d+)$", output, re.MULTILINE)
    assert len(folds) == 4
    assert min(map(float, folds)) > 0.8


def test_only_the_exclusive_or_of_the_bits_before_is_foreseen(output_of):
    output = output_of("temporal_xor.py")
    assert figure(output, "position 3 (exclusive or)") < 0.05
    # The best guess at a random bit is 1/2, and errs by 1/4.
    for label in ("position 1 (random)", "position 2 (random)"):
        assert 0.24 < figure(output, label) < 0.32


def test_sines_are_foreseen_better_than_by_a_linear_rule(output_of):
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


def test_a_text_is_written_on_by_a_network_that_knows_more_than_frequencies(output_of):
    output = output_of("min_char_rnn.py")
    assert figure(output, "recurrent network") < 2.6 < 4 < figure(output, "from frequencies alone")
    epochs = re.findall(r"^ +\d +[\d.]+ +([\d.]+)$", output, re.MULTILINE)
    assert len(epochs) == 8
    assert sorted(epochs, reverse=True)[:4] == epochs[:4]
    written = output.partition("where what is held out begins:\n\n")[2]
    assert len(written) == 20 + 500 + len("\n")
    from pydoc_data.topics import topics

    known = set(re.findall(r"[a-z]{3,}", " ".join(topics.values())))
    words = re.findall(r"\b[a-z]{3,}\b", written)
    assert len(words) >= 10
    assert sum(word in known for word in words) > 0.5 * len(words)


@pytest.mark.parametrize(
    "text",
    ["Größe, 漢字; ёлка — 😀!\n" * 40, "a" * 300, "abcdefghijklmnopqrst"],
    ids=["words", "a", "20"],
)
def test_any_text_is_written_on(text, tmp_path, output_of):
    file = tmp_path / "text"
    file.write_text(text, encoding="utf-8")
    output = output_of("min_char_rnn.py", file)
    held_out = text[len(text) * 9 // 10 :]
    assert f"goes on from {held_out[:20]!r}, " in output
    written = output.partition("where what is held out begins:\n\n")[2]
    assert written.startswith(held_out[:20])
    assert len(written) == len(held_out[:20]) + 500 + len("\n")
    assert set(written) <= set(text) | {"\n"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "has 0 characters; expected at least 20."),
        (b"too short", "has 9 characters; expected at least 20."),
        ("Größe".encode("latin-1"), "cannot be read: 'utf-8' codec .*; expected a text file in"),
        (None, "cannot be read: .*No such file.*; expected a text file in UTF-8."),
    ],
)
def test_what_is_no_text_to_learn_is_refused(content, told, tmp_path, output_of):
    file = tmp_path / "text"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SystemExit) as end:
        output_of("min_char_rnn.py", file)
    assert re.fullmatch(rf"{re.escape(str(file))} {told}.*", end.value.code)
