"""What the displays draw, by what is then in the axes."""

from __future__ import annotations

import sys

import matplotlib as mpl
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cbptt.displays import HiddenStateDisplay, TrainingCurveDisplay

mpl.use("Agg")
from matplotlib import pyplot as plt


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def three_kinds(n_steps=12):
    """(T, 9) states of three kinds of units, one after the other: 0 rise, 1 fall, 2 oscillate."""
    t = np.linspace(0, 1, n_steps)
    kinds = np.stack([t, 1 - 2 * t, np.sin(9 * t)], axis=1)
    sizes = 1 - 0.05 * np.arange(3)
    return np.concatenate([kinds * size for size in sizes], axis=1)


def image_of(panel):
    (image,) = panel.get_images()
    return image


# ---- training curve -----------------------------------------------------------------------------


def test_losses_stand_above_the_epochs_counted_from_one():
    display = TrainingCurveDisplay([4.0, 2.0, 1.0])
    assert display.plot() is display
    assert_array_equal(display.line_.get_xdata(), [1, 2, 3])
    assert_array_equal(display.line_.get_ydata(), [4, 2, 1])
    assert display.figure_ is display.ax_.figure


@pytest.mark.parametrize(
    ("losses", "scale"),
    [([2.0, 0.1], "log"), ([2.0, 0.0], "linear"), ([2.0, -1.0], "linear"), ([2.0, np.nan], "log")],
)
def test_the_axis_is_logarithmic_where_every_loss_is_positive(losses, scale):
    assert TrainingCurveDisplay(losses).plot().ax_.get_yscale() == scale


def test_one_curve_that_is_not_positive_makes_the_axis_of_all_linear():
    ax = TrainingCurveDisplay([2.0, -1.0]).plot().ax_
    assert TrainingCurveDisplay([2.0, 1.0]).plot(ax).ax_.get_yscale() == "linear"


def test_a_loss_that_is_not_finite_leaves_a_gap():
    display = TrainingCurveDisplay([3.0, np.inf, 1.0]).plot()
    assert_array_equal(display.line_.get_ydata(), [3, np.nan, 1])
    display.figure_.canvas.draw()


def test_curves_in_one_axes_are_told_apart_by_their_names():
    _, ax = plt.subplots()
    TrainingCurveDisplay([3.0, 2.0], name="sgd").plot(ax)
    second = TrainingCurveDisplay([3.0, 1.0], name="adam").plot(ax, color="black")
    assert second.ax_ is ax
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["sgd", "adam"]
    assert second.line_.get_color() == "black"


@pytest.mark.parametrize("losses", [[], [[1.0, 2.0]], 3.0])
def test_what_is_no_list_of_losses_is_refused(losses):
    with pytest.raises(ValueError, match=r"TrainingCurveDisplay got a loss_curve of shape"):
        TrainingCurveDisplay(losses)


# ---- hidden states ------------------------------------------------------------------------------


def test_rows_are_units_in_order_and_columns_are_steps():
    hidden = three_kinds()
    display = HiddenStateDisplay(hidden)
    assert display.plot() is display
    assert_array_equal(image_of(display.ax_).get_array(), hidden[:, display.order_].T)
    assert_allclose(display.ax_.get_xlim(), (0.5, 12.5))


def test_every_unit_has_a_row():
    assert_array_equal(np.sort(HiddenStateDisplay(three_kinds()).order_), np.arange(9))


def test_units_that_do_alike_stand_together():
    kinds = HiddenStateDisplay(three_kinds()).order_ % 3
    assert np.count_nonzero(np.diff(kinds)) == 2  # three runs


@pytest.mark.parametrize("sign", [1, -1])
def test_larger_states_stand_above(sign):
    hidden = sign * three_kinds()
    means = hidden.mean(axis=0)[HiddenStateDisplay(hidden).order_]
    assert means[:4].mean() > means[4:].mean()


@pytest.mark.parametrize(("largest", "limit"), [(0.9, 1.0), (0.3, 0.3), (7.0, 7.0)])
def test_zero_is_the_middle_of_the_colours(largest, limit):
    hidden = np.array([[0.1, -0.2], [-largest, 0.0]])
    assert_allclose(image_of(HiddenStateDisplay(hidden).plot().ax_).get_clim(), (-limit, limit))


def test_probabilities_are_coloured_from_zero_to_one():
    outputs = np.full((12, 5), 0.05)
    outputs[:, 2] = 0.8
    panel = HiddenStateDisplay(three_kinds(), outputs=outputs).plot().axes_["outputs"]
    assert_array_equal(image_of(panel).get_array(), outputs.T)
    assert image_of(panel).get_clim() == (0, 1)


def test_inputs_stand_above_and_outputs_below_on_the_same_steps():
    display = HiddenStateDisplay(three_kinds(), np.arange(12.0), np.ones((12, 6))).plot()
    display.figure_.canvas.draw()
    assert list(display.axes_) == ["inputs", "hidden", "outputs"]
    places = [panel.get_position() for panel in display.axes_.values()]
    assert places[0].y0 > places[1].y1 > places[1].y0 > places[2].y1
    assert_allclose([place.x0 for place in places], places[0].x0)
    assert_allclose([place.x1 for place in places], places[0].x1)
    assert {panel.get_xlim() for panel in display.axes_.values()} == {(0.5, 12.5)}


def test_few_variables_are_lines_and_many_a_heat_map():
    inputs, outputs = np.arange(24.0).reshape(12, 2), np.ones((12, 6))
    axes = HiddenStateDisplay(three_kinds(), inputs, outputs).plot().axes_
    drawn = [line.get_ydata() for line in axes["inputs"].get_lines()]
    assert_array_equal(drawn[-2:], inputs.T)
    assert not axes["inputs"].get_images()
    assert_array_equal(image_of(axes["outputs"]).get_array(), outputs.T)


def test_outputs_carry_their_names():
    names = list("abcdef")
    display = HiddenStateDisplay(three_kinds(), outputs=np.ones((12, 6)), output_names=names)
    panel = display.plot().axes_["outputs"]
    assert [label.get_text() for label in panel.get_yticklabels()] == names
    display = HiddenStateDisplay(three_kinds(), outputs=np.ones((12, 2)), output_names=names[:2])
    legend = display.plot().axes_["outputs"].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_every_heat_map_has_a_labelled_colour_bar():
    display = HiddenStateDisplay(three_kinds(), outputs=np.ones((12, 6))).plot()
    labels = {ax.get_ylabel() for ax in display.figure_.axes}
    assert {"hidden state", "output"} <= labels


@pytest.mark.parametrize("grid", [True, False])
def test_panels_stay_in_the_place_of_the_given_axes(grid):
    figure = plt.figure()
    if grid:
        _, ax = figure.subplots(1, 2)
    else:
        ax = figure.add_axes((0.5, 0.3, 0.4, 0.5))
    place = ax.get_position()
    display = HiddenStateDisplay(three_kinds(), np.arange(12.0)).plot(ax)
    assert display.figure_ is figure
    for panel in display.axes_.values():
        box = panel.get_position()
        assert place.x0 <= box.x0 < box.x1 <= place.x1
        assert place.y0 - 1e-9 <= box.y0 < box.y1 <= place.y1 + 1e-9


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (5, 2), (2, 64)])
def test_a_single_step_or_unit_can_be_drawn(shape):
    display = HiddenStateDisplay(np.zeros(shape)).plot()
    display.figure_.canvas.draw()
    assert image_of(display.ax_).get_array().shape == shape[::-1]


def test_later_changes_to_the_data_do_not_reach_the_display():
    hidden = three_kinds()
    display = HiddenStateDisplay(hidden)
    hidden[:] = 0
    assert_array_equal(display.hidden, three_kinds())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"hidden": np.zeros((2, 3, 4))},
            r"got hidden of shape \(2, 3, 4\); expected one sequence",
        ),
        ({"hidden": np.zeros((0, 4))}, r"got hidden of shape \(0, 4\)"),
        ({"hidden": [[np.nan]]}, "got hidden with NaN or infinity"),
        ({"inputs": np.zeros(5)}, "got inputs with 5 steps, but hidden has 12"),
        ({"outputs": np.zeros((11, 2))}, "got outputs with 11 steps, but hidden has 12"),
        ({"outputs": np.zeros(12), "output_names": ["a", "b"]}, "2 output_names for 1 outputs"),
        ({"output_names": ["a"]}, "1 output_names for 0 outputs"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(arguments, message):
    with pytest.raises(
        ValueError, match=f"HiddenStateDisplay got .*{message.removeprefix('got ')}"
    ):
        HiddenStateDisplay(**({"hidden": three_kinds()} | arguments))


@pytest.mark.parametrize(
    "display", [TrainingCurveDisplay([1.0]), HiddenStateDisplay([[0.5]])], ids=lambda d: type(d)
)
def test_without_matplotlib_the_error_names_the_extra(display, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'plot needs matplotlib.*pip install "cbptt\[plot\]"'):
        display.plot()
