"""The command line: what it prints, what it writes, and how it fails."""

from __future__ import annotations

import io
import re
import sys
from importlib import metadata

import pytest
from processes import output_of

import cbptt.__main__ as command_line
from cbptt._kernels import instruction_set
from cbptt.config import versions


def run(*arguments, **environment):
    """`python -m cbptt` in a process of its own."""
    return output_of("-m", "cbptt", *arguments, strict=True, **environment)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """What the demo prints from its first line on, and the picture it writes."""
    file = tmp_path_factory.mktemp("demo") / "demo.png"
    output = run("demo", "--plot", str(file), "--seed", "0")
    return output[output.index("Japanese Vowels") :], file


# ---- demo ---------------------------------------------------------------------------------------


def test_demo_tells_the_speakers_apart(demo):
    (accuracy,) = re.findall(r"^test accuracy: (\d\.\d{3})$", demo[0], re.MULTILINE)
    assert float(accuracy) >= 0.95


def test_demo_counts_every_test_utterance_once(demo):
    rows = [line.split() for line in demo[0].splitlines() if line.endswith("%")]
    counts = [[int(cell.replace(".", "0")) for cell in row[1:-1]] for row in rows]
    assert [row[0] for row in rows] == list("123456789")
    assert [sum(row) for row in counts] == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    (accuracy,) = re.findall(r"^test accuracy: (.*)$", demo[0], re.MULTILINE)
    right = sum(row[i] for i, row in enumerate(counts))
    assert accuracy == f"{right / 370:.3f}"


def test_demo_checks_its_gradient(demo):
    (error,) = re.findall(r"^gradient check: largest relative error (\S+),", demo[0], re.MULTILINE)
    assert 0 < float(error) < 1e-5


def test_demo_counts_its_parameters(demo):
    # W0 (64, 12), W11 (64, 64), b0 (64), W1 (9, 64), b1 (9)
    assert f"\nparameters: {64 * 12 + 64 * 64 + 64 + 9 * 64 + 9}\n" in demo[0]


def test_demo_fits_a_terminal_of_80_columns(demo):
    figures = [line for line in demo[0].splitlines() if not line.startswith("figure:")]
    assert max(map(len, figures)) <= 80


def test_demo_draws_a_picture(demo):
    assert demo[1].read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert f"figure: {demo[1]}" in demo[0]


def test_using_up_the_epochs_is_no_warning(monkeypatch, capsys):
    monkeypatch.setattr(command_line, "MAX_ITER", 12)
    assert command_line.main(["demo", "--seed", "1"]) == 0
    printed = capsys.readouterr()
    assert "epoch  12 of at most 12" in printed.out
    assert not printed.err


class Terminal(io.StringIO):
    def isatty(self):
        return True


def progress_on(out, n_epochs):
    progress = command_line._Progress(out)
    for epoch in range(1, n_epochs + 1):
        print(f"Iteration {epoch}, loss = {1 / epoch:.8f}", file=progress)
    progress.finish()
    return out.getvalue()


def test_progress_rewrites_one_line_on_a_terminal():
    text = progress_on(Terminal(), 43)
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert text.count("\r") == 43
    assert len({len(line) for line in text.rstrip("\n").split("\r")[1:]}) == 1


def test_progress_elsewhere_is_a_line_for_every_tenth_epoch_and_the_last():
    lines = progress_on(io.StringIO(), 23).splitlines()
    assert [int(line.split()[1]) for line in lines] == [1, 10, 20, 23]
    assert lines[-1].endswith(f"loss {1 / 23:.4f}")
    assert [int(line.split()[1]) for line in progress_on(io.StringIO(), 10).splitlines()] == [1, 10]


# ---- failure ------------------------------------------------------------------------------------


@pytest.fixture
def _untrained(monkeypatch):
    """A demo that must not begin."""

    def demo(seed, plot):
        raise AssertionError("the demo began")

    monkeypatch.setattr(command_line, "_demo", demo)


def error_of(capsys, *arguments):
    """The one line on stderr of a command that ends with exit code 2."""
    with pytest.raises(SystemExit) as end:
        command_line.main([str(argument) for argument in arguments])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.usefixtures("_untrained")
@pytest.mark.parametrize(
    ("file", "cause"),
    [
        ("missing/demo.png", "No such file or directory"),
        ("folder.png", "Is a directory"),
        ("demo.xyz", "expected a name that ends in .png, .svg or .pdf"),
        ("demo", "expected a name that ends in"),
    ],
)
def test_a_figure_that_cannot_be_written_is_told_before_the_training(file, cause, capsys, tmp_path):
    (tmp_path / "folder.png").mkdir()
    line = error_of(capsys, "demo", "--plot", tmp_path / file)
    assert line.startswith("python -m cbptt demo: error: --plot ")
    assert str(tmp_path / file) in line
    assert cause in line


@pytest.mark.usefixtures("_untrained")
def test_a_missing_matplotlib_is_told_before_the_training(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    line = error_of(capsys, "demo", "--plot", tmp_path / "demo.png")
    assert line.endswith('--plot needs matplotlib; install it with: pip install "cbptt[plot]"')


@pytest.mark.usefixtures("_untrained")
@pytest.mark.parametrize("seed", ["-1", "x", "1.5", str(2**32)])
def test_a_seed_that_is_none_is_refused(seed, capsys):
    assert f"--seed: got {seed!r}; expected an integer" in error_of(capsys, "demo", "--seed", seed)


def test_a_command_that_is_none_is_told_which_there_are(capsys):
    assert "demo" in error_of(capsys)
    assert "demo" in error_of(capsys, "train")


def test_asking_whether_a_file_can_be_written_leaves_it_as_it_was(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(command_line, "_demo", lambda cell, seed, plot: seen.append((seed, plot)))
    old, new = tmp_path / "old.png", tmp_path / "new.png"
    old.write_text("kept")
    for file in (old, new):
        assert command_line.main(["demo", "--plot", str(file), "--seed", "7"]) == 0
    assert seen == [(7, old), (7, new)]
    assert old.read_text() == "kept"
    assert not new.exists()


def test_ctrl_c_ends_the_demo_without_a_traceback(monkeypatch, capsys):
    def interrupted(cell, seed, plot):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "_demo", interrupted)
    assert command_line.main(["demo"]) == 130
    assert capsys.readouterr().err == "\ninterrupted\n"


# ---- info ---------------------------------------------------------------------------------------


def test_info_prints_each_version_on_a_line(capsys):
    assert command_line.main(["info"]) == 0
    printed = dict(re.findall(r"^ *([\w-]+): (.+)$", capsys.readouterr().out, re.MULTILINE))
    assert printed == versions()


def test_versions_are_those_of_the_installed_packages():
    found = versions()
    for package in ("cbptt", "numpy", "scipy", "scikit-learn", "threadpoolctl"):
        assert found[package] == metadata.version(package)
    assert found["python"].startswith(".".join(map(str, sys.version_info[:3])))
    assert int(found["cpus"]) >= 1
    assert found["kernels"].startswith(instruction_set())
    assert all(found.values())


def test_info_tells_kernels_that_were_forced():
    assert re.search(
        r"^ +kernels: base \(forced by CBPTT_ISA\)$", run("info", CBPTT_ISA="base"), re.M
    )
