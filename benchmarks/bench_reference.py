"""The compiled network against the NumPy reference: training step and forward pass, one thread.

    python benchmarks/bench_reference.py [--dtype float32] [--shapes tiny,vowels] [--rounds 7]

Each side runs in a fresh process of its own, so that neither finds the memory allocator as the
other left it. Before a shape is timed, both must have computed the same loss and the same
gradients. Rounds are interleaved; a time is the median of the calls of a round, and of the rounds
the quietest is taken on either side, as other programs can only slow a round down. Either side
begins with the inputs in its own layout; the compiled one runs in memory asked for once, as in a
fit. The share of the peak is the floating-point rate of
the step's products over that of a 1024-square matrix product, the best measured in the same run.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

import cbptt
from cbptt import reference
from cbptt.config import versions
from cbptt.threads import one_blas_thread
from shapes import SHAPES, Shape

TOLERANCE = {"float32": 1e-4, "float64": 1e-11}
Timed = dict[str, Callable[[], object]]
Computed = dict[str, Any]


def network(shape: Shape, dtype: str) -> cbptt.RNN:
    """The network that both sides train."""
    return cbptt.RNN(
        shape.D,
        shape.M,
        shape.K,
        output_activation="softmax" if shape.K > 1 else "identity",
        loss="log_loss" if shape.K > 1 else "squared_error",
        readout=shape.readout,
        dtype=dtype,
        random_state=0,
    )


def compiled(shape: Shape, dtype: str) -> tuple[Timed, Computed]:
    """What to time of the compiled network, and the loss and gradients it computes."""
    X, Y = shape.data(dtype)
    net = network(shape, dtype)
    shard = net.shard(X, Y)
    scratch = net.scratch(shape.B, shape.B * shape.T)
    result = net.run(shard, scratch)
    computed = {"loss": result.loss_sum, **net.layout.views(result.gradient.copy())}
    return {
        "step": lambda: net.run(shard, scratch),
        "forward": lambda: net.run_forward(shard, scratch),
    }, computed


def numpy(shape: Shape, dtype: str) -> tuple[Timed, Computed]:
    """The same of the reference."""
    X, Y = shape.data(dtype)
    net = network(shape, dtype)
    names = {"output_activation": net.output_activation, "readout": net.readout}
    x = np.ascontiguousarray(X.swapaxes(0, 1))
    target = reference.one_hot(Y, shape.K, dtype) if shape.K > 1 else Y[..., None]
    if shape.readout == "every":
        target = np.ascontiguousarray(target.swapaxes(0, 1))
    parameters = {name: array.copy() for name, array in net.parameters.items()}

    def step() -> reference.Bptt:
        return reference.bptt(parameters, x, target, loss=net.loss_name, **names)

    result = step()
    computed = {
        "loss": result.loss,
        "weight_ho": result.W1.T,
        "bias_o": result.b1[0],
        "weight_hh": result.W11.T,
        "weight_ih": result.W0.T,
        "bias_h": result.b0[0],
    }
    forward = lambda: reference.forward(parameters, x, **names)  # noqa: E731
    return {"step": step, "forward": forward}, computed


def product(shape: Shape, dtype: str) -> tuple[Timed, Computed]:
    """A 1024-square matrix product."""
    a, b = np.random.default_rng(0).normal(size=(2, 1024, 1024)).astype(dtype)
    return {"step": lambda: a @ b}, {}


SIDES = {"compiled": compiled, "numpy": numpy, "product": product}


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


def serve(pipe: Connection, side: str, shape: Shape, dtype: str, at_least: float) -> None:
    """Send what this side computes; then time what is asked for by name, until None comes."""
    with one_blas_thread():
        timed, computed = SIDES[side](shape, dtype)
        pipe.send((list(timed), computed))
        while (name := pipe.recv()) is not None:
            pipe.send(seconds(timed[name], at_least))


def measure(
    shape: Shape, dtype: str, n_rounds: int, at_least: float
) -> tuple[dict[tuple[str, str], float], float]:
    """Return the quietest round of each side and thing, and by how much the sides differ."""
    context = multiprocessing.get_context("spawn")
    pipes, names, computed = {}, {}, {}
    for side in SIDES:
        pipes[side], theirs = context.Pipe()
        arguments = (theirs, side, shape, dtype, at_least)
        context.Process(target=serve, args=arguments, daemon=True).start()
        theirs.close()
        names[side], computed[side] = pipes[side].recv()

    difference = max(
        float(np.abs(computed["compiled"][name] - expected).max() / np.abs(expected).max())
        for name, expected in computed["numpy"].items()
    )
    if not difference < TOLERANCE[dtype]:
        raise SystemExit(f"{shape.name}: loss or gradients differ by {difference:.1e}")

    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(n_rounds):
        for side, pipe in pipes.items():
            for name in names[side]:
                pipe.send(name)
                times.setdefault((side, name), []).append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(None)
    return {key: min(values) for key, values in times.items()}, difference


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

    for name, value in versions().items():
        print(f"{name} {value}", end=", " if name != "threadpoolctl" else "\n")
    print(
        f"{arguments.dtype}, one thread; ms: median of calls in the quietest of "
        f"{arguments.rounds} interleaved rounds"
    )
    print(
        f"{'shape':12} {'B':>4} {'T':>4} {'D':>5} {'M':>5} {'K':>3} {'readout':8}"
        f"{'step':>9} {'NumPy':>9} {'ratio':>6} {'forward':>9} {'NumPy':>9} {'ratio':>6}"
        f" {'peak':>6}  difference"
    )
    ratios, peaks = [], []
    for shape in SHAPES:
        if shape.name not in wanted:
            continue
        best, difference = measure(shape, arguments.dtype, arguments.rounds, arguments.seconds)
        peaks.append(2 * 1024**3 / best["product", "step"])
        ratios.append(best["numpy", "step"] / best["compiled", "step"])
        share = shape.training_flops / best["compiled", "step"] / peaks[-1]
        print(
            f"{shape.name:12} {shape.B:4} {shape.T:4} {shape.D:5} {shape.M:5} {shape.K:3} "
            f"{shape.readout:8}",
            end="",
        )
        for name in ("step", "forward"):
            ours, theirs = best["compiled", name], best["numpy", name]
            print(f"{1e3 * ours:9.3f} {1e3 * theirs:9.3f} {theirs / ours:5.2f}x", end=" ")
        print(f"{share:6.1%}  {difference:.0e}", flush=True)
    print(
        f"matrix-product peak {min(peaks) / 1e9:.1f} to {max(peaks) / 1e9:.1f} GFLOP/s; training "
        f"step: geometric mean {statistics.geometric_mean(ratios):.2f}x, worst {min(ratios):.2f}x"
    )


if __name__ == "__main__":
    main()
