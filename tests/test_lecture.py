"""docs/lecture.md walks through the whole lecture; tests/test_guide.py runs its code."""

from __future__ import annotations

import re
from pathlib import Path

from cbptt import reference

PAGE = (Path(__file__).parents[1] / "docs" / "lecture.md").read_text(encoding="utf-8")

# The headings of the slides, in their order; one of several slides in a row stands for all.
SLIDES = [
    r"RNN Unfolded in Time",
    r"Backpropagation Through Time (BPTT)",
    r"Background",
    r"Multivariate Chain Rule",
    r"Matrix and Vector Calculus",
    r"Detour",
    r"$\nabla_W \mathcal{L}(W\mathbf{x})$",
    r"Multiplication of 1D array with 3D tensor",
    r"Derivative of vector with respect to matrix",
    r"BPTT",
    r"Derivative number 1: $\nabla_{W^1} \mathcal{L}$",
    r"$\nabla_{\mathbf{a}^{2(t)}} \mathcal{L}$",
    r"Derivative number 2: $\nabla_{b^1} \mathcal{L}$",
    r"Derivative number 3: $\nabla_{W^{11}} \mathcal{L}$",
    r"$\nabla_{\mathbf{a}^{1(t)}} \mathcal{L}$",
    r"$\nabla_{\mathbf{h}^{1(t)}} \mathcal{L}$",
    r"Derivative number 4: $\nabla_{W^0} \mathcal{L}$",
    r"Derivative number 5: $\nabla_{b^0} \mathcal{L}$",
    r"Note about biases",
    r"Summary",
    r"Output layer",
    r"Hidden layer",
]


def test_the_page_has_the_heading_of_every_slide_in_order() -> None:
    prose = re.sub(r"^```.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"^##+ (.*)$", prose, re.MULTILINE) == SLIDES


def test_every_slide_has_code_or_formulas() -> None:
    groups = {"Background", "Detour", "BPTT", "Summary"}  # their slides follow
    sections = dict(re.findall(r"^##+ (.*)\n((?:(?!##).*\n)*)", PAGE, re.MULTILINE))
    empty = {slide for slide in SLIDES if "\n```" not in sections[slide]}
    assert empty == groups


def test_every_statement_of_the_reference_is_on_the_page() -> None:
    # The rest is not the lecture's: other activations, losses and readouts, and classes of results.
    others = {"ACTIVATIONS", "CANONICAL", "LOSSES", "READOUTS", "Activation", "Loss"}
    others |= {"Bptt", "Forward", "row_times_output_jacobian"}
    # What comes after the lecture is in docs/cells.md.
    others |= {"CELLS", "GATES", "STATES", "Deltas", "Layer"}
    later = ("elman", "gru", "lstm", "stack")
    others |= {name for name in reference.__all__ if name.lower().startswith(later)}
    shown = set(re.findall(r"\breference\.(\w+)", PAGE))
    assert shown == set(reference.__all__) - others
