"""The lecture "Backpropagation Through Time" in NumPy, equation by equation.

This is the program to read with the lecture open, to test faster programs against and to time them
against. It needs NumPy only. docs/lecture.md walks through it, slide by slide, and docs/cells.md
through what comes after the lecture.

============= ======================================================================
`calculus`    the background, the detour, the note about biases; the complex step
`functions`   activations, their Jacobian matrices, losses
`network`     the forward pass, and the five derivatives
`unfolded`    the network unfolded in time: each step with parameters of its own
`cells`       beyond the lecture: one step of a GRU and of an LSTM, forward and back
`stack`       networks of cells in several layers and both directions
============= ======================================================================

Layout
------
Arrays are time-major, as the lecture's index t comes first, and a row is one of the lecture's
column vectors transposed. ``parameters`` maps names to arrays:

============= ============= ================================================
lecture       shape         name
============= ============= ================================================
W0, b0        (M, D), (M,)  ``weight_ih``, ``bias_h``
W11           (M, M)        ``weight_hh``; row i: what comes into unit i
W1, b1        (K, M), (K,)  ``weight_ho``, ``bias_o``
h0(t) = x_t   (T, B, D)     ``x``
a1(t), h1(t)  (T, B, M)     ``a1``, ``h1``
a2(t), h2(t)  (T, B, K)     ``a2``, ``h2``; (B, K) unless ``readout="every"``
h1(0)         (B, M)        ``h0``
============= ============= ================================================

Mind the one clash of names: the lecture's h0(t) is the input, called ``x`` here, and the argument
``h0`` is the hidden state before the first step, the lecture's h1(0).

A derivative has the lecture's layout: that of a scalar with respect to a column vector is a row,
and with respect to a matrix it has the transposed shape ("Matrix and Vector Calculus").

Types
-----
Results have NumPy's common type of everything given, so that float32 stays float32 if parameters,
inputs, targets and weights all have it. Everything also works, unchanged, on complex128: nothing
takes an absolute value or a conjugate, and comparisons look at real parts. That is what
`complex_step` needs.

Ragged sequences
----------------
There are no masks. The loss of a ragged batch, and each of its derivatives, is the sum over its
sequences, each with B = 1; or, for ``readout="every"``, that of the batch padded at the end with
any finite numbers whose steps have weight 0.
"""

from cbptt.reference.calculus import (
    bias_derivative,
    chain_rule,
    complex_step,
    derivative,
    inner_product_derivative,
    linear_map_derivative,
    product_derivative,
    quadratic_form_derivative,
    row_times_tensor,
    sum_of_deltas,
)
from cbptt.reference.cells import (
    CELLS,
    GATES,
    STATES,
    Deltas,
    ElmanStep,
    GruStep,
    Layer,
    LstmStep,
    elman_step,
    elman_step_back,
    gru_step,
    gru_step_back,
    lstm_step,
    lstm_step_back,
)
from cbptt.reference.functions import (
    ACTIVATIONS,
    CANONICAL,
    LOSSES,
    OUTPUTS,
    Activation,
    Loss,
    one_hot,
    output_jacobian,
    row_times_output_jacobian,
)
from cbptt.reference.network import READOUTS, Bptt, Forward, bptt, forward, loss
from cbptt.reference.stack import StackBptt, StackForward, stack_bptt, stack_forward, stack_loss
from cbptt.reference.unfolded import unfold, unfolded_loss

__all__ = [
    "ACTIVATIONS",
    "CANONICAL",
    "CELLS",
    "GATES",
    "LOSSES",
    "OUTPUTS",
    "READOUTS",
    "STATES",
    "Activation",
    "Bptt",
    "Deltas",
    "ElmanStep",
    "Forward",
    "GruStep",
    "Layer",
    "Loss",
    "LstmStep",
    "StackBptt",
    "StackForward",
    "bias_derivative",
    "bptt",
    "chain_rule",
    "complex_step",
    "derivative",
    "elman_step",
    "elman_step_back",
    "forward",
    "gru_step",
    "gru_step_back",
    "inner_product_derivative",
    "linear_map_derivative",
    "loss",
    "lstm_step",
    "lstm_step_back",
    "one_hot",
    "output_jacobian",
    "product_derivative",
    "quadratic_form_derivative",
    "row_times_output_jacobian",
    "row_times_tensor",
    "stack_bptt",
    "stack_forward",
    "stack_loss",
    "sum_of_deltas",
    "unfold",
    "unfolded_loss",
]
