"""Pictures of results: losses by epoch, hidden states by step.

The displays take results and not estimators, and follow scikit-learn's pattern: the constructor
keeps the data, `plot` draws them, returns the display and leaves `ax_` and `figure_` on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["HiddenStateDisplay", "TrainingCurveDisplay"]

# Up to this many variables are drawn as lines, more as a heat map.
_MOST_LINES = 4


class TrainingCurveDisplay:
    """The loss of each epoch.

    Parameters
    ----------
    loss_curve : sequence of n_epochs floats
        As `loss_curve_` of an estimator. A loss that is not finite leaves a gap.
    name : str, optional
        Name of the curve in the legend: plot several into one `ax` to compare them.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the curve is, after `plot`.
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D

    Raises
    ------
    ValueError
        If loss_curve is not one-dimensional or empty.

    Examples
    --------
    >>> from cbptt.displays import TrainingCurveDisplay
    >>> display = TrainingCurveDisplay([2.0, 0.5, 0.1], name="64 units")
    >>> display.plot().figure_.savefig("losses.png")  # doctest: +SKIP
    """

    ax_: Axes
    figure_: Figure | SubFigure
    line_: Any

    def __init__(self, loss_curve: Sequence[float] | ArrayLike, *, name: str | None = None) -> None:
        self.loss_curve = np.array(loss_curve, dtype=np.float64)
        if self.loss_curve.ndim != 1 or not self.loss_curve.size:
            raise ValueError(
                f"TrainingCurveDisplay got a loss_curve of shape {self.loss_curve.shape}; "
                f"expected (n_epochs,), one loss for each epoch."
            )
        self.name = name

    def plot(self, ax: Axes | None = None, **line_options: Any) -> Self:
        """Draw the curve, on a logarithmic axis if every loss is positive.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        **line_options
            Passed to `Axes.plot`.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = _axes(ax, "TrainingCurveDisplay", (6.0, 3.6))
        from matplotlib.ticker import MaxNLocator

        losses = np.where(np.isfinite(self.loss_curve), self.loss_curve, np.nan)
        epochs = np.arange(1, len(losses) + 1)
        options = {"label": self.name, "linewidth": 1.8} | line_options
        (self.line_,) = ax.plot(epochs, losses, **options)
        ax.plot(epochs[-1:], losses[-1:], "o", color=self.line_.get_color(), markersize=4.5)

        drawn = np.concatenate([np.asarray(line.get_ydata()) for line in ax.get_lines()])
        drawn = drawn[np.isfinite(drawn)]
        ax.set_yscale("log" if drawn.size and (drawn > 0).all() else "linear")
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(True, which="major", color="0.9", linewidth=0.8)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        if self.name is not None:
            ax.legend(frameon=False)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self


class HiddenStateDisplay:
    """The activity of the hidden units while a sequence is read.

    A heat map of h1(t), one row for each unit and one column for each step; above it, where given,
    the input x(t), and below it the output h2(t). Similar units are next to each other: they are
    ordered by their angle in the plane of the first two principal components of the states.

    Parameters
    ----------
    hidden : (T, M) array
        Hidden states of one sequence.
    inputs : (T, D) or (T,) array, optional
        Inputs of the sequence.
    outputs : (T, K) or (T,) array, optional
        Outputs of the network.
    output_names : sequence of K str, optional
        Names of the outputs.

    Attributes
    ----------
    order_ : (M,) ndarray of int
        The unit in each row of the heat map, from the top; set by the constructor.
    ax_ : matplotlib Axes
        Where the hidden states are, after `plot`.
    axes_ : dict of str to matplotlib Axes
        All panels: "inputs", "hidden", "outputs", where given.
    figure_ : matplotlib Figure

    Raises
    ------
    ValueError
        If an array has another shape or number of steps, or holds a value that is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> import cbptt
    >>> from cbptt.displays import HiddenStateDisplay
    >>> x = np.sin(np.arange(20.0))[:, None]
    >>> result = cbptt.RNN(1, 8, 1, random_state=0).forward([x])
    >>> display = HiddenStateDisplay(result.hidden[0], x, result.output[0])
    >>> display.plot().figure_.savefig("states.png")  # doctest: +SKIP
    """

    ax_: Axes
    axes_: dict[str, Axes]
    figure_: Figure | SubFigure

    def __init__(
        self,
        hidden: ArrayLike,
        inputs: ArrayLike | None = None,
        outputs: ArrayLike | None = None,
        *,
        output_names: Sequence[str] | None = None,
    ) -> None:
        self.hidden = _steps(hidden, "hidden", None)
        n_steps = len(self.hidden)
        self.inputs = None if inputs is None else _steps(inputs, "inputs", n_steps)
        self.outputs = None if outputs is None else _steps(outputs, "outputs", n_steps)
        self.output_names = None if output_names is None else [str(name) for name in output_names]
        n_outputs = 0 if self.outputs is None else self.outputs.shape[1]
        if self.output_names is not None and len(self.output_names) != n_outputs:
            raise ValueError(
                f"HiddenStateDisplay got {len(self.output_names)} output_names for {n_outputs} "
                f"outputs; expected one name for each."
            )
        self.order_ = _similar_together(self.hidden)

    def plot(self, ax: Axes | None = None, *, cmap: str = "RdBu_r") -> Self:
        """Draw the states, with the inputs above and the outputs below.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw: the panels share out its place, in which ``layout="constrained"`` of the
            figure leaves room for their labels. A new figure by default.
        cmap : str, default="RdBu_r"
            A diverging colour map for the hidden states; its middle is the value 0.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        panels = {"inputs": self.inputs, "hidden": self.hidden, "outputs": self.outputs}
        shown = {name: values for name, values in panels.items() if values is not None}
        heights = {name: _height(name, values) for name, values in shown.items()}
        ax = _axes(ax, "HiddenStateDisplay", (6.8, 0.9 + 0.92 * sum(heights.values())))

        self.axes_ = {}
        for (name, values), (panel, bar_place) in zip(
            shown.items(), _split(ax, list(heights.values())), strict=True
        ):
            self.axes_[name] = panel
            if name == "hidden":
                _heat_map(panel, bar_place, values[:, self.order_], cmap, "hidden state")
                panel.set(ylabel=f"{values.shape[1]} hidden units", yticks=[])
                continue
            names = self.output_names if name == "outputs" else None
            if values.shape[1] <= _MOST_LINES:
                _lines(panel, values, names)
                panel.set(ylabel=name.removesuffix("s"))
                continue
            _heat_map(panel, bar_place, values, "PuOr_r", name.removesuffix("s"))
            panel.set(ylabel=f"{values.shape[1]} {name}", yticks=[])
            if names is not None:
                panel.set_yticks(range(len(names)), names)
        _share_steps(list(self.axes_.values()), len(self.hidden))
        self.ax_ = self.axes_["hidden"]
        self.figure_ = self.ax_.figure
        return self


# ---- data -------------------------------------------------------------------------------------


def _steps(values: ArrayLike, name: str, n_steps: int | None) -> NDArray[np.float64]:
    """(T, C) of finite numbers, from (T, C) or (T,)."""
    array = np.array(values, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"HiddenStateDisplay got {name} of shape {np.shape(values)}; expected one sequence, "
            f"(n_timesteps, n_values)."
        )
    if n_steps not in (None, len(array)):
        raise ValueError(
            f"HiddenStateDisplay got {name} with {len(array)} steps, but hidden has {n_steps}; "
            f"expected the same sequence."
        )
    if not np.isfinite(array).all():
        raise ValueError(
            f"HiddenStateDisplay got {name} with NaN or infinity; expected finite values."
        )
    return array


def _similar_together(hidden: NDArray[np.float64]) -> NDArray[np.intp]:
    """Order of the units by angle in the plane of the first two principal components.

    The circle is cut where two neighbours differ most; the end with the larger states comes first.
    """
    means = hidden.mean(axis=0)
    n_units = len(means)
    if n_units < 3 or len(hidden) < 2:
        return np.argsort(-means, kind="stable")
    u, s, _ = np.linalg.svd(hidden.T, full_matrices=False)
    first, second = (u[:, :2] * s[:2]).T
    angle = np.arctan2(second, first)
    order = np.argsort(angle, kind="stable")
    gaps = np.diff(angle[order], append=angle[order[0]] + 2 * np.pi)
    order = np.roll(order, -1 - int(gaps.argmax()))
    larger_last = means[order[: n_units // 2]].mean() < means[order[n_units // 2 :]].mean()
    return order[::-1] if larger_last else order


# ---- panels -----------------------------------------------------------------------------------


def _axes(ax: Axes | None, caller: str, size: tuple[float, float]) -> Axes:
    """`ax`, or the axes of a new figure of `size` inches."""
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError as cause:
        raise ImportError(
            f"{caller}.plot needs matplotlib, which could not be imported ({cause}); "
            f'install it with: pip install "cbptt[plot]"'
        ) from cause
    return pyplot.subplots(figsize=size, layout="constrained")[1]


def _height(name: str, values: NDArray[np.float64]) -> float:
    """Height of a panel in proportion to the others."""
    if name == "hidden":
        return 3.0
    return 1.2 if values.shape[1] <= _MOST_LINES else 1.5


def _split(ax: Axes, heights: list[float]) -> list[tuple[Axes, Any]]:
    """Panels of these heights in the place of `ax`, each with a place for its colour bar."""
    options: dict[str, Any] = {
        "height_ratios": heights,
        "width_ratios": [45, 1],
        "hspace": 0.06,
        "wspace": 0.04,
    }
    figure, place = ax.figure, ax.get_subplotspec()
    ax.set_axis_off()
    if place is None:
        box = ax.get_position()
        sides = {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
        grid: Any = figure.add_gridspec(len(heights), 2, **sides, **options)
    else:
        grid = place.subgridspec(len(heights), 2, **options)
    return [(figure.add_subplot(grid[row, 0]), grid[row, 1]) for row in range(len(heights))]


def _heat_map(
    panel: Axes, bar_place: Any, values: NDArray[np.float64], cmap: str, label: str
) -> None:
    """Draw values (T, C), a row for each column of theirs.

    0 is the middle of the colours, or their beginning where no value is negative. Values that
    come near 1 and not beyond, as those of tanh and probabilities do, end the colours at 1.
    """
    from matplotlib.ticker import MaxNLocator

    T, C = values.shape
    largest = float(np.abs(values).max()) or 1.0
    if 0.5 < largest < 1.0:
        largest = 1.0
    signed = values.min() < 0
    image = panel.imshow(
        values.T,
        aspect="auto",
        interpolation="nearest",
        cmap=cmap if signed else "Greys",
        vmin=-largest if signed else 0.0,
        vmax=largest,
        extent=(0.5, T + 0.5, C - 0.5, -0.5),
    )
    bar = panel.figure.colorbar(image, cax=panel.figure.add_subplot(bar_place), label=label)
    bar.locator = MaxNLocator(4)
    bar.update_ticks()
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, labelsize="small")
    panel.spines[:].set(color="0.6", linewidth=0.6)


def _lines(panel: Axes, values: NDArray[np.float64], names: list[str] | None) -> None:
    """Draw values (T, C), a line for each column of theirs."""
    steps = np.arange(1, len(values) + 1)
    panel.axhline(0.0, color="0.85", linewidth=0.8)
    panel.plot(steps, values, linewidth=1.5, marker="o", markersize=2.5, label=names)
    panel.spines[["top", "right"]].set_visible(False)
    if names is not None:
        panel.legend(frameon=False, fontsize="small")


def _share_steps(panels: list[Axes], n_steps: int) -> None:
    """One step axis for all panels, labelled below the last."""
    from matplotlib.ticker import MaxNLocator

    for panel in panels:
        panel.set_xlim(0.5, n_steps + 0.5)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        panel.tick_params(length=2, labelsize="small")
        if panel is not panels[-1]:
            panel.tick_params(axis="x", bottom=False, labelbottom=False)
    panels[-1].set_xlabel("step")
