"""Draw what a program kept: of `bench.py shapes` each engine's time over cbptt's, shape by shape.

python benchmarks/figure.py shapes.json shapes.png

The pictures of `real_runs.py adding`, `laser` and `recall` are in real/figures.py.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox
from PIL import Image

from real import figures

# Okabe and Ito's colours, told apart by the colour-blind too.
COLOURS = {
    "cbptt-prepared": "black",
    "numpy": "#7f7f7f",
    "numpy-cells": "#7f7f7f",
    "torch": "#d55e00",
    "torch-packed": "#a63603",
    "torch-padded": "#fdae6b",
    "torch-merged": "#b8860b",
    "jax-1": "#0072b2",
    "jax-8": "#4da3d9",
    "onnxruntime": "#009e73",
    "keras": "#cc79a7",
}
TITLES = {"step": "training step", "forward": "forward pass"}
# Where a label may stand, in points from its dot, the nearest first.
PLACES = [(dx, dy) for dy in (9, -9, 17, -17, 25, -25) for dx in (0, 8, -8, 16, -16, 24, -24)]


def ratios(entry: dict[str, Any], thing: str) -> dict[str, float]:
    """Return each engine's median over cbptt's."""
    times = {
        name: statistics.median(things[thing])
        for name, things in entry["seconds"].items()
        if thing in things and name != "product"
    }
    ours = times.pop("cbptt")
    return {name: time / ours for name, time in times.items()}


def milliseconds(time: float) -> str:
    """Return three digits."""
    return f"{1e3 * time:.{max(0, 2 - math.floor(math.log10(1e3 * time)))}f}"


def label(axes: Axes, renderer: RendererBase, row: int, values: dict[str, float]) -> None:
    """Name the dots of a row, each name where it covers no dot and no other name."""
    point = axes.figure.dpi / 72
    dots = [axes.transData.transform((value, row)) for value in values.values()]
    taken = [Bbox.from_bounds(x - 4 * point, y - 4 * point, 8 * point, 8 * point) for x, y in dots]
    for name, value in sorted(values.items(), key=lambda item: item[1]):
        for place in PLACES:
            text = axes.annotate(
                name,
                (value, row),
                place,
                textcoords="offset points",
                ha="center",
                va="center",
                size=7.5,
                color=COLOURS[name],
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3},
                arrowprops={
                    "arrowstyle": "-",
                    "color": COLOURS[name],
                    "linewidth": 0.6,
                    "shrinkA": 0,
                    "shrinkB": 3,
                },
            )
            text.update_positions(renderer)
            extent = Text.get_window_extent(text, renderer).padded(1.5 * point, 0)
            if not any(extent.overlaps(other) for other in taken):
                break
            if place != PLACES[-1]:
                text.remove()
        taken.append(extent)


def draw_panel(axes: Axes, entries: list[dict[str, Any]], thing: str) -> None:
    """Draw one thing: a row for each shape, the first on top."""
    rows = [ratios(entry, thing) for entry in entries]
    low = min(1.0, *(value for row in rows for value in row.values()))
    high = max(value for row in rows for value in row.values())
    axes.set_xscale("log")
    axes.set_xlim(low / 1.35, high * 1.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_title(TITLES[thing], loc="left", size=11, weight="bold", pad=20)
    axes.axvline(1, color="black", linewidth=1.2, zorder=1)
    axes.annotate(
        "cbptt", (1, 1), (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points",
        ha="center", va="bottom", size=8.5, weight="bold",
    )  # fmt: skip
    for row in range(1, len(rows)):
        axes.axhline(row - 0.5, color="0.9", linewidth=0.8, zorder=0)
    for row, values in enumerate(rows):
        for name, value in values.items():
            axes.plot(value, row, "o", color=COLOURS[name], markersize=6, zorder=3)
        time = statistics.median(entries[row]["seconds"]["cbptt"][thing])
        axes.annotate(
            f"{milliseconds(time)} ms", (1, row), (1, 0), xycoords=("axes fraction", "data"),
            textcoords="offset fontsize", va="center", size=8, annotation_clip=False,
        )  # fmt: skip
    axes.annotate(
        "cbptt", (1, 1), (8, 3), xycoords="axes fraction", textcoords="offset points", va="bottom",
        size=8, weight="bold", annotation_clip=False,
    )  # fmt: skip
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", which="major", color="0.92", zorder=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel("time over cbptt's, log scale (right of the line: cbptt is faster)", size=8.5)


def described(entry: dict[str, Any]) -> str:
    """Return a shape's name and sizes."""
    sizes = entry["problem"]
    return f"{sizes['name']}\nB {sizes['B']}, T {sizes['T']}, D {sizes['D']}, M {sizes['M']}"


def draw(results: dict[str, Any], out: Path) -> None:
    """Draw both panels."""
    entries, machine, options = results["problems"], results["machine"], results["options"]
    n_threads = int(options["threads"])
    figure = Figure(figsize=(13.5, 1.7 + 0.72 * len(entries)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, thing in zip(panels, ("step", "forward"), strict=True):
        draw_panel(axes, entries, thing)
    panels[0].set_yticks(range(len(entries)), [described(entry) for entry in entries], size=8.5)
    versions = ", ".join(
        f"{name} {machine[name].split('+')[0]}"
        for name in ("numpy", "torch", "jax", "onnxruntime")
        if name in machine
    )
    figure.suptitle(
        f"Time of each library relative to cbptt, {options['dtype']}, {n_threads} "
        f"thread{'s' if n_threads > 1 else ''}\n"
        f"{machine['processor']}, cbptt's kernels {machine['kernels']}; {versions}",
        x=0.01,
        ha="left",
        size=11,
    )
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_layout_engine("none")  # the labels are placed in pixels, and nothing may move them
    for axes, thing in zip(panels, ("step", "forward"), strict=True):
        for row, entry in enumerate(entries):
            label(axes, canvas.get_renderer(), row, ratios(entry, thing))
    figure.savefig(out)


def shrink(picture: Path) -> None:
    """Store a PNG with a palette of few colours, in a quarter of its bytes."""
    with Image.open(picture) as image:
        palette = image.convert("RGB").quantize(
            32, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
        palette.save(picture, optimize=True)


def main() -> None:
    """Read the numbers and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("out", type=Path, help="its ending sets the format: png, svg, pdf")
    arguments = parser.parse_args()
    results = json.loads(arguments.results.read_text(encoding="utf-8"))
    (figures.draw if results.get("task") in figures.DRAWN else draw)(results, arguments.out)
    if arguments.out.suffix == ".png":
        shrink(arguments.out)


if __name__ == "__main__":
    main()
