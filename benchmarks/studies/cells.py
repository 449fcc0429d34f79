"""GRU and LSTM, several layers, both directions: cbptt and the libraries, one thread."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from race import Outcome, geometric_mean
from report import Report
from shapes import NINE, Problem, chosen, of_cell, with_cell
from studies.against import OURS, THINGS, Table, add_options, compare

__all__ = ["add_options", "run"]

Outcomes = list[tuple[Problem, Outcome]]


class Cells(Table):
    """Each cell by itself; all ratios over the public call, and over the engine."""

    def ratios_of(self, outcomes: Outcomes, thing: str, names: Sequence[str], ours: str) -> str:
        """Return by how much the fastest of the names is slower, as text."""
        ratios = {}
        for problem, outcome in outcomes:
            times = {name: outcome.timed(name, thing) for name in names}
            medians = [found.median for found in times.values() if found is not None]
            if medians:
                own = outcome.times[ours][thing].median
                ratios[problem.name.split()[1]] = min(medians) / own
        if not ratios:
            return "-"
        if len(ratios) == 1:
            return f"{next(iter(ratios.values())):.2f}x"
        worst = min(ratios, key=lambda name: ratios[name])
        mean = geometric_mean(list(ratios.values()))
        return f"mean {mean:.2f}x, worst {ratios[worst]:.2f}x ({worst})"

    def comparison(self, what: str, outcomes: Outcomes, names: Sequence[str]) -> None:
        """Print a line for each of our two calls, step and forward."""
        for ours in OURS:
            found = (f"{thing} {self.ratios_of(outcomes, thing, names, ours)}" for thing in THINGS)
            self.report.line(f"{f'{what} over {ours}':58} {'; '.join(found)}")

    def close(self) -> None:
        """Print what it comes to, by cell."""
        self.report.line()
        peaks = [outcome.peak / 1e9 for _, outcome in self.outcomes]
        self.report.line(f"matrix product: {min(peaks):.1f} to {max(peaks):.1f} GFLOP/s")
        for cell in dict.fromkeys(problem.cell for problem, _ in self.outcomes):
            by_name = {p.name.split()[1]: (p, o) for p, o in self.outcomes if p.cell == cell}
            nine = [by_name[name] for name in NINE if name in by_name]
            self.report.line()
            if nine:
                self.comparison(f"{cell}, the best peer", nine, self.peers)
                self.comparison(f"{cell}, the best of all", nine, self.others)
            if "ragged" in by_name:
                self.comparison(
                    f"{cell} ragged, torch-packed", [by_name["ragged"]], ["torch-packed"]
                )
            for name, pair in by_name.items():
                if name not in NINE:
                    self.comparison(f"{cell} {name}, the best of all", [pair], self.others)
            shares = [
                p.training_flops / o.times["cbptt"]["step"].median / o.peak
                for p, o in nine
                if p.M >= 128 and p.B >= 32
            ]
            if shares:
                self.report.line(
                    f"{cell}, share of the peak, steps with M >= 128, B >= 32: "
                    f"{min(shares):.1%} to {max(shares):.1%}"
                )


def run(report: Report, options: Namespace) -> None:
    """Time the engines on the shapes of each cell."""
    problems = [
        problem
        for cell in options.cells
        for problem in with_cell(chosen(of_cell(cell), options.shapes))
    ]
    compare(report, options, problems, Cells)
