"""ONNX Runtime: a graph of RNN, Gemm and Softmax, forward only, in float32.

Inputs and outputs are bound once, so that a run copies neither.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

from shapes import Array, Problem


def graph(problem: Problem) -> ModelProto:
    """Build the model; x is (T, B, D), the output (R, K)."""
    parameters = problem.network("float32").parameters
    bias = np.concatenate([parameters["bias_h"], np.zeros(problem.M, np.float32)])
    every = problem.readout == "every"
    constants = {
        "W": parameters["weight_ih"][None],
        "R": parameters["weight_hh"][None],
        "B": bias[None],
        "W1": parameters["weight_ho"],
        "b1": parameters["bias_o"],
        "rows": np.array([-1, problem.M]),
    }
    nodes = [
        helper.make_node("RNN", ["x", "W", "R", "B"], ["h", "h_last"], hidden_size=problem.M),
        helper.make_node("Reshape", ["h" if every else "h_last", "rows"], ["read"]),
        helper.make_node("Gemm", ["read", "W1", "b1"], ["a2"], transB=1),
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
        self.x = value(problem.time_major(X))
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
