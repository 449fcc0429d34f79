"""The compiled network against the NumPy reference: training step and forward pass, one thread.

    python benchmarks/bench_reference.py [--dtype float32] [--shapes tiny,vowels] [--rounds 7]

Before a shape is timed, both sides must have computed the same loss and the same gradients. Rounds
are interleaved and medians taken. The share of the peak is the floating-point rate of the training
step's products over that of a 1024-square matrix product, measured in the same run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

import cbptt
from cbptt import reference
from cbptt.config import versions
from cbptt.sequences import check_sequences
from cbptt.threads import one_blas_thread
from shapes import SHAPES, Shape

TOLERANCE = {"float32": 1e-4, "float64": 1e-11}


def seconds(function: Callable[[], object], at_least: float) -> float:
    """Return the median of the times of single calls, over `at_least` seconds of calls."""
    durations: list[float] = []
    started = now = time.perf_counter()
    while not durations or now - started < at_least:
        before = now
        function()
        now = time.perf_counter()
        durations.append(now - before)
    return statistics.median(durations)


def product_peak(dtype: str) -> Callable[[], float]:
    """Return a function that measures the rate of a 1024-square product, in flop per second."""
    a, b = np.random.default_rng(0).normal(size=(2, 1024, 1024)).astype(dtype)
    return lambda: 2 * 1024**3 / seconds(lambda: a @ b, 0.1)


def sides(shape: Shape, dtype: str) -> tuple[dict[str, Callable[[], object]], float]:
    """Return the four things to time, and by how much loss and gradients differ."""
    X, Y = shape.data(dtype)
    classes = shape.K > 1
    net = cbptt.RNN(
        shape.D,
        shape.M,
        shape.K,
        output_activation="softmax" if classes else "identity",
        loss="log_loss" if classes else "squared_error",
        readout=shape.readout,
        dtype=dtype,
        random_state=0,
    )
    shard = net.shard(X, Y)
    sequences = check_sequences(X, caller="bench_reference")

    x = np.ascontiguousarray(X.swapaxes(0, 1))
    target = reference.one_hot(Y, shape.K, dtype) if classes else Y[..., None]
    target = np.ascontiguousarray(target.swapaxes(0, 1)) if shape.readout == "every" else target
    parameters = {name: array.copy() for name, array in net.parameters.items()}
    names = {"output_activation": net.output_activation, "readout": net.readout}

    def step_reference() -> reference.Bptt:
        return reference.bptt(parameters, x, target, loss=net.loss_name, **names)

    result, expected = net.run(shard), step_reference()
    pairs = [(np.float64(result.loss_sum), np.float64(expected.loss))]
    found = net.layout.views(result.gradient)
    for name, lecture in (
        ("weight_ho", expected.W1.T),
        ("bias_o", expected.b1[0]),
        ("weight_hh", expected.W11.T),
        ("weight_ih", expected.W0.T),
        ("bias_h", expected.b0[0]),
    ):
        pairs.append((found[name], lecture))
    difference = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)
    timed: dict[str, Callable[[], object]] = {
        "step": lambda: net.run(shard),
        "step_reference": step_reference,
        "forward": lambda: net.outputs(sequences),
        "forward_reference": lambda: reference.forward(parameters, x, **names),
    }
    return timed, difference


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--shapes", default=",".join(shape.name for shape in SHAPES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.1, help="per measurement, at least")
    arguments = parser.parse_args()
    wanted = arguments.shapes.split(",")
    unknown = set(wanted) - {shape.name for shape in SHAPES}
    if unknown:
        parser.error(f"no such shape: {', '.join(sorted(unknown))}")

    print(", ".join(f"{name} {value}" for name, value in versions().items()))
    print(f"{arguments.dtype}, one thread, {arguments.rounds} interleaved rounds, medians, ms")
    print(
        f"{'shape':12} {'B':>4} {'T':>4} {'D':>5} {'M':>5} {'K':>3} {'readout':8}"
        f"{'step':>9} {'NumPy':>9} {'ratio':>6} {'forward':>9} {'NumPy':>9} {'ratio':>6}"
        f" {'peak':>6}  difference"
    )
    with one_blas_thread():
        measure_peak = product_peak(arguments.dtype)
        peaks, ratios = [], []
        for shape in SHAPES:
            if shape.name not in wanted:
                continue
            timed, difference = sides(shape, arguments.dtype)
            if not difference < TOLERANCE[arguments.dtype]:
                raise SystemExit(f"{shape.name}: loss or gradients differ by {difference:.1e}")
            times: dict[str, list[float]] = {name: [] for name in timed}
            shares = []
            for _ in range(arguments.rounds):
                peaks.append(measure_peak())
                for name, function in timed.items():
                    times[name].append(seconds(function, arguments.seconds))
                shares.append(shape.training_flops / times["step"][-1] / peaks[-1])
            ms = {name: 1e3 * statistics.median(values) for name, values in times.items()}
            ratio = ms["step_reference"] / ms["step"]
            forward_ratio = ms["forward_reference"] / ms["forward"]
            ratios.append(ratio)
            print(
                f"{shape.name:12} {shape.B:4} {shape.T:4} {shape.D:5} {shape.M:5} {shape.K:3} "
                f"{shape.readout:8}{ms['step']:9.3f} {ms['step_reference']:9.3f} {ratio:5.2f}x "
                f"{ms['forward']:9.3f} {ms['forward_reference']:9.3f} {forward_ratio:5.2f}x "
                f"{statistics.median(shares):6.1%}  {difference:.0e}",
                flush=True,
            )
    print(
        f"matrix-product peak {statistics.median(peaks) / 1e9:.1f} GFLOP/s "
        f"({min(peaks) / 1e9:.1f} to {max(peaks) / 1e9:.1f}); training step: geometric mean "
        f"{statistics.geometric_mean(ratios):.2f}x, worst {min(ratios):.2f}x"
    )


if __name__ == "__main__":
    main()
