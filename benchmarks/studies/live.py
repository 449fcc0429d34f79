"""One step of live sequences: an estimator, the compiled class below it, PyTorch, ONNX Runtime.

Every call takes the states that the one before gave, as a program does that listens to a stream.
"""

from __future__ import annotations

import statistics
import time
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

import cbptt
from report import Report

D, M, K = 8, 64, 4
Step = Callable[[Any, Any], tuple[Any, Any]]
CALLS = 200  # before the clock is looked at


def add_options(parser: ArgumentParser) -> None:
    """Only the number of sequences."""
    parser.add_argument("--sequences", type=int, default=1, help="live sequences, stepped together")


def fitted(dtype: str, cell: str) -> cbptt.RNNClassifier:
    """A classifier of K classes with M units."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(32, 10, D)).astype(dtype), np.arange(32) % K
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return cbptt.RNNClassifier(M, cell=cell, max_iter=2, dtype=dtype, random_state=0).fit(X, y)


def in_pytorch(network: cbptt.RNN) -> Step:
    """nn.RNNCell, nn.GRUCell or nn.LSTMCell, and nn.Linear, without autograd."""
    import torch

    from engines.pytorch import KINDS, start

    torch.set_num_threads(1)
    precision = getattr(torch, network.dtype.name)
    cell = getattr(torch.nn, f"{network.cell.upper()}Cell")(D, M, dtype=precision)
    readout = torch.nn.Linear(M, K, dtype=precision)
    whole = KINDS[network.cell](D, M, dtype=precision)
    start(whole, readout, network.parameters)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(cell, name).data = getattr(whole, f"{name}_l0").data

    def step(x: Any, h: Any) -> tuple[Any, Any]:
        with torch.inference_mode():
            h = cell(x, h)
            return torch.softmax(readout(h), dim=-1), h

    def step_with_c(x: Any, state: Any) -> tuple[Any, Any]:
        with torch.inference_mode():
            state = cell(x, state)
            return torch.softmax(readout(state[0]), dim=-1), state

    return step_with_c if network.cell == "lstm" else step


def in_onnxruntime(network: cbptt.RNN) -> Step:
    """A graph of RNN, GRU or LSTM, Gemm and Softmax that takes and gives the state; float32."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    from engines.onnx_graph import layer_constants, layer_node

    p = network.parameters
    constants = {
        **dict(zip("WRB", layer_constants(network.cell, p, [""]), strict=True)),
        "W1": p["weight_ho"],
        "b1": p["bias_o"],
        "rows": np.array([-1, M]),
    }
    states = ["h", "c"] if network.cell == "lstm" else ["h"]
    new = [f"{name}_new" for name in states]
    nodes = [
        layer_node(network.cell, ["x", "W", "R", "B", "", *states], ["", *new], M),
        helper.make_node("Reshape", ["h_new", "rows"], ["read"]),
        helper.make_node("Gemm", ["read", "W1", "b1"], ["a2"], transB=1),
        helper.make_node("Softmax", ["a2"], ["h2"]),
    ]

    def described(name: str, *shape: int | None) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes,
        "step",
        [described("x", 1, None, D), *(described(name, 1, None, M) for name in states)],
        [described("h2", None, K), *(described(name, 1, None, M) for name in new)],
        [numpy_helper.from_array(np.array(a), name) for name, a in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def step(x: Any, h: Any) -> tuple[Any, Any]:
        out, h = session.run(None, {"x": x, "h": h})
        return out, h

    def step_with_c(x: Any, state: Any) -> tuple[Any, Any]:
        h, c = state
        out, *state = session.run(None, {"x": x, "h": h, "c": c})
        return out, state

    return step_with_c if network.cell == "lstm" else step


def ways(n: int, dtype: str, cell: str) -> dict[str, tuple[Step, Any, Any]]:
    """Name to a step, its inputs and its first state; who is not installed is left out."""
    model = fitted(dtype, cell)
    network = model.network_
    # peers read a copy: once parameters are handed out, every step compares them
    copied = network.astype(network.dtype)
    x = np.random.default_rng(1).normal(size=(n, D)).astype(dtype)
    h = model.start(n)
    zeros = np.zeros((n, M), dtype)  # h, as the states of a start are
    found: dict[str, tuple[Step, Any, Any]] = {
        "RNNClassifier.step": (model.step, x, h),
        "RNN.live().step": (network.live().step, x, h),
    }
    with suppress(ImportError):
        import torch

        state: Any = torch.from_numpy(zeros)
        state = (state, state) if cell == "lstm" else state
        name = f"PyTorch {cell.upper()}Cell"
        found[name] = (in_pytorch(copied), torch.from_numpy(x), state)
    if dtype == "float32":
        with suppress(ImportError):
            state = (zeros[None], zeros[None]) if cell == "lstm" else zeros[None]
            found["ONNX Runtime"] = (in_onnxruntime(copied), x[None], state)
    return found


def check(found: dict[str, tuple[Step, Any, Any]], tolerance: float) -> None:
    """Compare the outputs after three steps."""
    outputs = {}
    for name, (step, x, h) in found.items():
        for _ in range(3):
            out, h = step(x, h)
        outputs[name] = np.asarray(out)
    first, *others = outputs.values()
    for other in others:
        assert np.abs(other - first).max() <= tolerance


def timed(step: Step, x: Any, h: Any, seconds: float) -> float:
    """Return the seconds of a call: the median over blocks of calls."""
    times = []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        started = time.perf_counter()
        for _ in range(CALLS):
            _, h = step(x, h)
        times.append((time.perf_counter() - started) / CALLS)
    return statistics.median(times)


def run(report: Report, options: Namespace) -> None:
    """Print microseconds of a call, and how often an estimator's goes into it."""
    found = {cell: ways(options.sequences, options.dtype, cell) for cell in options.cells}
    rounds: dict[str, dict[str, list[float]]] = {}
    for cell, its_ways in found.items():
        check(its_ways, 1e-5 if options.dtype == "float32" else 1e-12)
        rounds[cell] = {name: [] for name in its_ways}
    for _ in range(options.rounds):
        for cell, its_ways in found.items():
            for name, way in its_ways.items():
                rounds[cell][name].append(timed(*way, options.seconds))
    report.raw["seconds"] = rounds
    report.line(f"One step of {options.sequences} sequences, D {D}, M {M}, K {K}, {options.dtype}:")
    for cell, its_rounds in rounds.items():
        ours = statistics.median(its_rounds["RNNClassifier.step"])
        for name, times in its_rounds.items():
            median = statistics.median(times)
            report.line(f"{cell:4} {name:20} {1e6 * median:8.2f} us  {median / ours:6.1f}x")
