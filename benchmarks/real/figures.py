"""Pictures of what real runs kept: the curves of `adding`, the forecasts of `laser`, gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by the colour-blind too; dashes tell lines apart without any.
ORANGE, BLUE, GREEN = "#d55e00", "#0072b2", "#009e73"
STYLES = [(BLUE, "-"), (ORANGE, (0, (5, 1.5))), (GREEN, (0, (1.5, 1)))]
PAST = 40  # steps of the training set that are drawn before a forecast


def clear(axes: Axes) -> None:
    """Leave the axes that carry numbers, and a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.92", zorder=0)


def titled(figure: Figure, title: str, machine: dict[str, str]) -> None:
    """Say what is drawn, and on which machine it was measured."""
    about = f"{machine['processor']}, one thread, cbptt's kernels {machine['kernels']}"
    figure.suptitle(f"{title}\n{about}", x=0.01, ha="left", size=11)


def draw_adding(results: dict[str, Any]) -> Figure:
    """Draw errors over training time: a column for each length, a row for each start."""
    fits, always = results["fits"], results["always one"]
    lengths, starts, windows = (
        list(dict.fromkeys(fit[key] for fit in fits)) for key in ("T", "start", "window")
    )
    figure = Figure(figsize=(11, 7), layout="constrained")
    panels = figure.subplots(len(starts), len(lengths), sharey=True, sharex="col", squeeze=False)
    for row, start in zip(panels, starts, strict=True):
        for axes, T in zip(row, lengths, strict=True):
            clear(axes)
            axes.set_yscale("log")
            axes.axhline(always, color="0.35", linewidth=1, linestyle=(0, (6, 3)))
            for fit in fits:
                if (fit["T"], fit["start"]) != (T, start):
                    continue
                colour, dashes = STYLES[windows.index(fit["window"])]
                back = "full BPTT" if fit["window"] is None else f"last {fit['window']} steps"
                axes.plot(
                    *(fit["seconds"], fit["errors"]), color=colour, linestyle=dashes, label=back
                )
            axes.set_title(f"T = {T}: {start}", loc="left", size=10, weight="bold")
            axes.set_xlim(left=0)
        row[0].set_ylabel("mean squared error, test sequences", size=9)
        row[0].annotate(
            "always 1", (1, always), (-2, 3), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", va="bottom", size=8, color="0.35",
        )  # fmt: skip
    for axes in panels[-1]:
        axes.set_xlabel("training time, seconds of the processor", size=9)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    titled(
        figure, "Adding problem: full and truncated BPTT, the same time each", results["machine"]
    )
    return figure


def draw_laser(results: dict[str, Any]) -> Figure:
    """Draw the forecasts of each forecaster beside the series; the median one is the thick line."""
    true, horizon = results["true"], results["horizon"]
    forecasters = results["forecasters"]
    figure = Figure(figsize=(10, 1.2 + 2.2 * len(forecasters)), layout="constrained")
    panels = figure.subplots(len(forecasters), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    begin = len(true) - horizon  # where the forecast does
    ahead = range(1, horizon + 1)
    for axes, (name, kept), colour in zip(
        panels, forecasters.items(), (BLUE, ORANGE), strict=False
    ):
        runs = sorted(kept["forecast"], key=lambda run: run["forecast"])
        middle = runs[(len(runs) - 1) // 2]  # of an even number the better one
        clear(axes)
        axes.axvline(0.5, color="0.35", linewidth=1, linestyle=(0, (6, 3)))
        for run in runs:
            axes.plot(ahead, run["first"], color=colour, alpha=0.22, linewidth=0.8)
        axes.plot(
            range(1 - PAST, horizon + 1), true[begin - PAST :],
            color="black", linewidth=1.2, marker="o", markersize=2.5, label="the laser",
        )  # fmt: skip
        axes.plot(
            ahead, middle["first"], color=colour, linewidth=1.8, label="forecast of median error"
        )
        axes.plot([], [], color=colour, alpha=0.4, linewidth=0.8, label="of each random_state")
        axes.set_title(
            f"{name}: normalised squared error {middle['forecast']:.3f} "
            f"({runs[0]['forecast']:.3f} to {runs[-1]['forecast']:.3f})",
            loc="left", size=10, weight="bold",
        )  # fmt: skip
        axes.set_ylabel("intensity, counts", size=9)
        axes.set_ylim(-35, 290)
        axes.set_xlim(-PAST, horizon)
        axes.legend(loc="upper left", ncols=3, frameon=False, fontsize=8.5)
    panels[-1].set_xlabel("steps after the training set", size=9)
    titled(
        figure, "Santa Fe laser: a hundred steps foretold, none of them seen", results["machine"]
    )
    return figure


def draw_recall(results: dict[str, Any]) -> Figure:
    """Draw the norm of dL/dh(t) by lag: a column for each length; at the start and trained."""
    flows = results["flow"]
    figure = Figure(figsize=(8.5, 6), layout="constrained")
    panels = figure.subplots(2, len(flows), sharey="row", sharex="col", squeeze=False)
    titles = {"start": "initial weights", "trained": "after training"}
    for row, (when, title) in zip(panels, titles.items(), strict=True):
        for axes, (T, cells) in zip(row, flows.items(), strict=True):
            clear(axes)
            axes.set_yscale("log")
            for (cell, norms), (colour, dashes) in zip(cells.items(), STYLES, strict=True):
                values = norms[when]
                lags = range(len(values), 0, -1)
                relative = [value / values[-1] for value in values]
                axes.plot(lags, relative, color=colour, linestyle=dashes, label=cell)
            axes.set_title(f"T = {T}: {title}", loc="left", size=10, weight="bold")
        row[0].set_ylabel("norm of dL/dh(t), that of lag 1 is 1", size=9)
    for axes in panels[-1]:
        axes.set_xlabel("lag T - t, steps", size=9)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle("Delayed recall: how the gradient of the loss flows back", x=0.01, ha="left")
    return figure


DRAWN = {"adding": draw_adding, "laser": draw_laser, "recall": draw_recall}


def draw(results: dict[str, Any], out: Path) -> None:
    """Draw a task's numbers."""
    DRAWN[results["task"]](results).savefig(out)
