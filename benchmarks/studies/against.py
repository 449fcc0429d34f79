"""cbptt against the libraries, on a list of problems: training step and forward pass."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from engines import ENGINES, able, installed
from race import Outcome, geometric_mean, race
from report import Report
from shapes import AWKWARD, SHAPES, Problem, chosen

OURS = ("cbptt", "cbptt-prepared")
LEFT_OUT = ("keras",)
THINGS = ("step", "forward")


def add_options(parser: ArgumentParser) -> None:
    """Add the option that these studies have."""
    parser.add_argument(
        "--engines", help="beside cbptt's; by default all that are installed, but keras"
    )


def wanted(
    engines: str | None, dtype: str, problems: Sequence[Problem]
) -> tuple[list[str], list[str]]:
    """Return the engines that can run any of the problems, cbptt's first, and the absent ones."""
    known = [name for name in ENGINES if any(able(name, p, dtype) for p in problems)]
    if engines is None:
        names = [name for name in known if name not in LEFT_OUT]
        return [n for n in names if installed(n)], [n for n in names if not installed(n)]
    names = [name for name in engines.split(",") if name not in OURS]
    for name in names:
        if name not in known:
            raise SystemExit(f"no engine {name!r} in {dtype}; there are {', '.join(known)}")
        if not installed(name):
            raise SystemExit(f"{name} needs {', '.join(ENGINES[name].packages)}, not installed")
    return [*OURS, *names], []


class Table:
    """Medians as they come, then how far the rounds lay apart, then what it comes to.

    Attributes
    ----------
    ratios : of each thing, of the fastest "peer" and of the fastest of "all", by problem.
    """

    def __init__(self, report: Report, engines: Sequence[str], width: int) -> None:
        self.report, self.engines, self.width = report, engines, width
        self.outcomes: list[tuple[Problem, Outcome]] = []
        self.ratios: dict[tuple[str, str], dict[str, float]] = {}
        self.peers = [name for name in engines if ENGINES[name].role == "peer"]
        self.others = [name for name in engines if name not in OURS]

    def row(self, *cells: str) -> str:
        """Join a row's name, thing, and a cell for each engine."""
        name, thing, *times = cells
        columns = zip(times, self.engines, strict=True)
        return f"{name:{self.width}} {thing:8}" + "".join(
            f"{time:>{max(10, len(engine) + 2)}}" for time, engine in columns
        )

    def head(self) -> None:
        """Print the names of the columns."""
        best = f"  {'best peer':18}  {'best of all':18}  {'peak':>5}  difference"
        self.report.line(self.row("shape", "ms", *self.engines) + best)

    def fastest(self, outcome: Outcome, thing: str, names: Sequence[str]) -> tuple[str, float]:
        """Return who is fastest, and how many times cbptt's time that is."""
        times = {n: t.median for n in names if (t := outcome.timed(n, thing)) is not None}
        if not times:
            return "", float("nan")
        name = min(times, key=lambda n: times[n])
        return name, times[name] / outcome.times["cbptt"][thing].median

    def add(self, problem: Problem, outcome: Outcome) -> None:
        """Print a problem's rows."""
        self.outcomes.append((problem, outcome))
        for thing, flops in zip(
            THINGS, (problem.training_flops, problem.forward_flops), strict=True
        ):
            ours = outcome.times["cbptt"][thing].median
            best = ""
            for kind, names in (("peer", self.peers), ("all", self.others)):
                name, ratio = self.fastest(outcome, thing, names)
                if name:
                    self.ratios.setdefault((thing, kind), {})[problem.name] = ratio
                best += f"  {f'{name} {ratio:.2f}x' if name else '-':18}"
            self.report.line(
                self.row(
                    problem.name if thing == "step" else "",
                    thing,
                    *(self.cell(outcome, name, thing, "median") for name in self.engines),
                )
                + f"{best}  {flops / ours / outcome.peak:5.1%}"
                + (f"  {outcome.largest_difference:.0e}" if thing == "step" else "")
            )

    def cell(self, outcome: Outcome, name: str, thing: str, which: str) -> str:
        """Return a time in ms."""
        times = outcome.timed(name, thing)
        return f"{1e3 * getattr(times, which):.3f}" if times else "-"

    def spread(self) -> None:
        """Print the quietest and the noisiest round of each time above."""
        self.report.line()
        self.report.line("the quietest and the noisiest round, ms")
        for problem, outcome in self.outcomes:
            for thing in THINGS:
                for which in ("least", "greatest"):
                    first = thing == "step" and which == "least"
                    self.report.line(
                        self.row(
                            problem.name if first else "",
                            thing if which == "least" else "",
                            *(self.cell(outcome, name, thing, which) for name in self.engines),
                        )
                    )

    def close(self) -> None:
        """Print what it comes to."""
        self.report.line()
        peaks = [outcome.peak / 1e9 for _, outcome in self.outcomes]
        self.report.line(f"matrix product: {min(peaks):.1f} to {max(peaks):.1f} GFLOP/s")
        for thing in THINGS:
            for kind, words in (("peer", "the best peer"), ("all", "the best of all")):
                ratios = self.ratios.get((thing, kind))
                if not ratios:
                    continue
                mean = geometric_mean(list(ratios.values()))
                worst = min(ratios, key=lambda name: ratios[name])
                self.report.line(
                    f"{thing}, {words}: geometric mean {mean:.2f}x, "
                    f"worst {ratios[worst]:.2f}x ({worst})"
                )
            for name in (*OURS[1:], *self.others):
                values = [
                    times.median / outcome.times["cbptt"][thing].median
                    for _, outcome in self.outcomes
                    if (times := outcome.timed(name, thing)) is not None
                ]
                if values:
                    mean = geometric_mean(values)
                    self.report.line(f"{thing}, {name}: geometric mean {mean:.2f}x")


def run(report: Report, options: Namespace) -> None:
    """Time the engines on the shapes, or on the awkward sizes."""
    problems = chosen(SHAPES if options.what == "shapes" else AWKWARD, options.shapes)
    compare(report, options, problems, Table)


def compare(
    report: Report, options: Namespace, problems: Sequence[Problem], kind: type[Table]
) -> None:
    """Time the engines on problems, and print a table of this kind."""
    engines, absent = wanted(options.engines, options.dtype, problems)
    if absent:
        report.line(f"not installed: {', '.join(absent)}")
    report.line("cbptt: the public call with a user's arrays; cbptt-prepared: with checked ones. A")
    report.line("ratio is another's time over cbptt's. The difference is the largest of all")
    report.line("engines' losses, gradients and outputs from the NumPy reference's.")
    table = kind(report, engines, max(len(problem.name) for problem in problems) + 1)
    table.head()
    report.raw["engines"] = engines
    results = report.raw["problems"] = []
    for problem in problems:
        outcome = race(
            {name: (name, problem) for name in engines if able(name, problem, options.dtype)},
            dtype=options.dtype,
            n_threads=options.threads,
            n_rounds=options.rounds,
            at_least=options.seconds,
        )
        results.append({"problem": problem.described(), **outcome.raw()})
        table.add(problem, outcome)
    table.spread()
    table.close()
