"""Sequences of unequal lengths: cbptt beside equal ones of the same total, and beside PyTorch."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from engines import installed
from race import geometric_mean, race
from report import Report
from shapes import chosen, ragged

PEERS = ("torch-packed", "torch-padded")


def add_options(parser: ArgumentParser) -> None:
    """Nothing beyond the common options."""


def run(report: Report, options: Namespace) -> None:
    """Time each problem, its counterpart, and PyTorch's packed and padded batches."""
    pairs = {unequal.name: (unequal, even) for unequal, even in ragged()}
    peers = [name for name in PEERS if installed(name)]
    report.line("us per valid step. cost: cbptt's time per valid step over that on equal lengths;")
    report.line("ratios: PyTorch's time over cbptt's, on the same sequences.")
    report.line(
        f"{'problem':22} {'B':>3} {'T':>4} {'N':>5} {'us':8}{'cbptt':>9} {'equal':>9} {'cost':>6}"
        + "".join(f"{name:>14} {'ratio':>7}" for name in peers)
        + "  difference"
    )
    ratios: dict[tuple[str, str], list[float]] = {}
    results = report.raw["problems"] = []
    for problem in chosen([unequal for unequal, _ in pairs.values()], options.shapes):
        even = pairs[problem.name][1]
        outcome = race(
            {
                "cbptt": ("cbptt", problem),
                "equal": ("cbptt", even),
                **{name: (name, problem) for name in peers},
            },
            dtype=options.dtype,
            n_threads=options.threads,
            n_rounds=options.rounds,
            at_least=options.seconds,
        )
        results.append(
            {
                "problem": problem.described() | {"lengths": problem.lengths},
                "equal": even.described(),
                **outcome.raw(),
            }
        )
        for thing in ("step", "forward"):
            per_step = {
                name: 1e6 * times[thing].median / (even.N if name == "equal" else problem.N)
                for name, times in outcome.times.items()
                if thing in times and name != "product"
            }
            ours = per_step["cbptt"]
            cost = ours / per_step["equal"]
            ratios.setdefault((thing, "cost"), []).append(cost)
            text = (
                f"{problem.name:22} {problem.B:3} {problem.T:4} {problem.N:5} {thing:8}"
                f"{ours:9.3f} {per_step['equal']:9.3f} {cost:6.2f}"
            )
            for name in peers:
                ratio = per_step[name] / ours
                ratios.setdefault((thing, name), []).append(ratio)
                text += f"{per_step[name]:14.3f} {ratio:6.2f}x"
            report.line(f"{text}  {outcome.largest_difference:.0e}")
            spread = {
                name: f"{1e3 * times[thing].least:.3f} to {1e3 * times[thing].greatest:.3f}"
                for name, times in outcome.times.items()
                if name in per_step
            }
            report.line(
                "    ms of a call, quietest to noisiest round: "
                + ", ".join(f"{name} {text}" for name, text in spread.items())
            )
    report.line()
    for (thing, name), values in ratios.items():
        worst = max(values) if name == "cost" else min(values)
        report.line(
            f"{thing}, {name}: geometric mean {geometric_mean(values):.2f}, worst {worst:.2f}"
        )
