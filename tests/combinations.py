"""Few combinations of many choices."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations, product


def pairwise(*choices):
    """Combine choices so that any two values of two different choices meet at least once.

    All combinations in full repeat one claim many times: what goes wrong does so for a value, or
    for two that meet. Three that must meet are two if a choice lists them as pairs.
    """
    everything = list(product(*(range(len(values)) for values in choices)))
    # a bit for each pair of values
    bits = defaultdict(lambda: 1 << len(bits))
    pairs = {
        indices: sum(bits[pair] for pair in combinations(enumerate(indices), 2))
        for indices in everything
    }
    missing = (1 << len(bits)) - 1
    chosen = []
    while missing:
        best = max(everything, key=lambda indices: (pairs[indices] & missing).bit_count())
        missing &= ~pairs[best]
        chosen.append(tuple(values[i] for values, i in zip(choices, best, strict=True)))
    return chosen
