"""ONNX Runtime: a graph of RNN, GRU or LSTM, Gemm and Softmax, forward only, in float32.

Inputs and outputs are bound once, so that a run copies neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from shapes import Array, Problem

# The operator of a cell, and the order of cbptt's gates in its matrices.
OPERATORS = {"rnn": ("RNN", [0]), "gru": ("GRU", [1, 0, 2]), "lstm": ("LSTM", [0, 3, 1, 2])}


def layer_constants(cell: str, parameters: Any, suffixes: Sequence[str]) -> list[Array]:
    """Return W, R and B of a layer; the first axis is the direction."""
    order = OPERATORS[cell][1]

    def reordered(array: Array) -> Array:
        gates = np.split(array, len(order))
        return np.concatenate([gates[gate] for gate in order])

    found = []
    for suffix in suffixes:
        W, R, b = (parameters[f"{name}{suffix}"] for name in ("weight_ih", "weight_hh", "bias_h"))
        second = np.zeros_like(b)
        if cell == "gru":
            second[-R.shape[1] :] = parameters[f"bias_hn{suffix}"]
        bias = np.concatenate([reordered(b), reordered(second)])
        found.append((reordered(W), reordered(R), bias))
    return [np.stack(arrays) for arrays in zip(*found, strict=True)]


def layer_node(
    cell: str, inputs: Sequence[str], outputs: Sequence[str], M: int, bidirectional: bool = False
) -> NodeProto:
    """Return the operator of a layer."""
    attributes: dict[str, Any] = {"linear_before_reset": 1} if cell == "gru" else {}
    if bidirectional:
        attributes["direction"] = "bidirectional"
    return helper.make_node(OPERATORS[cell][0], inputs, outputs, hidden_size=M, **attributes)


def graph(problem: Problem) -> ModelProto:
    """Build the model; x is (T, B, D), the output (R, K)."""
    parameters = problem.network("float32").parameters
    every = problem.readout == "every"
    assert not (problem.is_ragged and every), "padding would be read"
    constants = {
        "rows": np.array([-1, problem.width]),
        "W1": parameters["weight_ho"],
        "b1": parameters["bias_o"],
    }
    if problem.is_ragged:
        constants["lengths"] = np.array(problem.lengths, np.int32)
    if problem.n_layers > 1:
        constants["steps"] = np.array([problem.T, problem.B, problem.width])
    nodes = []
    read, lengths = "x", ["lengths"] if problem.is_ragged else []
    for layer, suffixes in enumerate(problem.suffixes):
        names = [f"{name}_{layer}" for name in "WRB"]
        constants |= dict(
            zip(names, layer_constants(problem.cell, parameters, suffixes), strict=True)
        )
        h, h_last = f"h_{layer}", f"h_last_{layer}"
        inputs, outputs = [read, *names, *lengths], [h, h_last]
        nodes.append(layer_node(problem.cell, inputs, outputs, problem.M, problem.bidirectional))
        top = layer == problem.n_layers - 1
        read = h if every or not top else h_last
        if problem.bidirectional:  # (T, directions, B, M), or without T
            order = [0, 2, 1, 3] if read == h else [1, 0, 2]
            nodes.append(helper.make_node("Transpose", [read], [f"{read}_b"], perm=order))
            read = f"{read}_b"
        shape = "rows" if top else "steps"
        nodes.append(helper.make_node("Reshape", [read, shape], [f"{read}_{shape}"]))
        read = f"{read}_{shape}"
    nodes += [
        helper.make_node("Gemm", [read, "W1", "b1"], ["a2"], transB=1),
        helper.make_node("Softmax" if problem.K > 1 else "Identity", ["a2"], ["h2"]),
    ]

    def described(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    model = helper.make_model(
        helper.make_graph(
            nodes,
            "rnn",
            [described("x", problem.T, problem.B, problem.D)],
            [described("h2", problem.n_targets, problem.K)],
            [numpy_helper.from_array(np.array(a), name) for name, a in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 14)],
        ir_version=8,
    )
    checker.check_model(model)
    return model


class Graph:
    """A session on that graph."""

    def __init__(self, problem: Problem, dtype: str, n_threads: int) -> None:
        X, _ = problem.data(dtype)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = n_threads
        options.inter_op_num_threads = 1
        self.problem = problem
        self.session = onnxruntime.InferenceSession(
            graph(problem).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        value = onnxruntime.OrtValue.ortvalue_from_numpy
        self.x = value(problem.padded(X))
        self.h2 = value(np.empty((problem.n_targets, problem.K), np.float32))
        self.binding = self.session.io_binding()
        self.binding.bind_ortvalue_input("x", self.x)
        self.binding.bind_ortvalue_output("h2", self.h2)

    def forward(self) -> Any:
        """Outputs, in the bound array."""
        self.session.run_with_iobinding(self.binding)
        return self.h2

    def computed(self) -> dict[str, Array]:
        """Outputs."""
        return {"output": self.problem.rows(self.forward().numpy())}
