"""Few combinations of many choices."""

from __future__ import annotations

from itertools import combinations, product


def pairwise(*choices):
    """Combine choices so that any two values of two different choices meet at least once.

    All combinations in full repeat one claim many times: what goes wrong does so for a value, or
    for two that meet. Three that must meet are two if a choice lists them as pairs.
    """

    def pairs(indices):
        return set(combinations(enumerate(indices), 2))

    everything = list(product(*(range(len(values)) for values in choices)))
    missing = set().union(*map(pairs, everything))
    chosen = []
    while missing:
        best = max(everything, key=lambda indices: len(pairs(indices) & missing))
        missing -= pairs(best)
        chosen.append(tuple(values[i] for values, i in zip(choices, best, strict=True)))
    return chosen
