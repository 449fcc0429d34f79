"""min-char-rnn: the training step that Karpathy describes, in NumPy, one character at a time.

Karpathy (2015), The unreasonable effectiveness of recurrent neural networks: one hidden layer of
tanh units, a softmax over characters, the sum of the log losses of 25 characters, gradients that
are cut off at 5 entry by entry, AdaGrad; the state goes on to the next 25 characters, and no
gradient with it. Characters are one-hot vectors, and each product takes one of them. Only the
starting values are the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

CLIP = 5.0
EPSILON = 1e-8


class MinChar:
    """The network, and the sums of squares of its gradients.

    Parameters
    ----------
    parameters : weight_ih (M, D), weight_hh (M, M), bias_h (M,), weight_ho (D, M), bias_o (D,)
        Starting values, which are copied.
    learning_rate : float
    """

    def __init__(self, parameters: Mapping[str, Array], learning_rate: float) -> None:
        self.parameters = {name: value.copy() for name, value in parameters.items()}
        self.squares = {name: np.zeros_like(value) for name, value in parameters.items()}
        self.learning_rate = learning_rate

    def loss_and_gradients(
        self, inputs: NDArray[np.intp], targets: NDArray[np.intp], h: Array
    ) -> tuple[float, dict[str, Array], Array]:
        """Return the summed loss of a window, its gradients, and the last state.

        inputs, targets : (T,) numbers of characters; h : (M,) the state before them.
        """
        weight_ih, weight_hh, bias_h, weight_ho, bias_o = (
            self.parameters[name]
            for name in ("weight_ih", "weight_hh", "bias_h", "weight_ho", "bias_o")
        )
        x, hidden, p = [], [h], []
        loss = 0.0
        for character, target in zip(inputs, targets, strict=True):
            x_t = np.zeros(weight_ih.shape[1], weight_ih.dtype)
            x_t[character] = 1
            h_t = np.tanh(weight_ih @ x_t + weight_hh @ hidden[-1] + bias_h)
            e = np.exp(weight_ho @ h_t + bias_o)
            p_t = e / e.sum()
            loss -= float(np.log(p_t[target]))
            x.append(x_t)
            hidden.append(h_t)
            p.append(p_t)

        gradients = {name: np.zeros_like(value) for name, value in self.parameters.items()}
        dh_next = np.zeros_like(h)
        for t in reversed(range(len(x))):
            dz = p[t]
            dz[targets[t]] -= 1
            gradients["weight_ho"] += np.outer(dz, hidden[t + 1])
            gradients["bias_o"] += dz
            da = (weight_ho.T @ dz + dh_next) * (1 - hidden[t + 1] ** 2)
            gradients["weight_ih"] += np.outer(da, x[t])
            gradients["weight_hh"] += np.outer(da, hidden[t])
            gradients["bias_h"] += da
            dh_next = weight_hh.T @ da
        return loss, gradients, hidden[-1]

    def train(self, text: NDArray[np.intp], n_steps: int) -> float:
        """Go once through a text in windows of n_steps; return the mean loss on the way.

        text : (N + 1,) numbers of characters; the rest that fills no window is left out.
        """
        h = np.zeros_like(self.parameters["bias_h"])
        total, n_windows = 0.0, (len(text) - 1) // n_steps
        for first in range(0, n_windows * n_steps, n_steps):
            window = text[first : first + n_steps + 1]
            loss, gradients, h = self.loss_and_gradients(window[:-1], window[1:], h)
            total += loss
            for name, gradient in gradients.items():
                np.clip(gradient, -CLIP, CLIP, out=gradient)
                self.squares[name] += gradient * gradient
                self.parameters[name] -= (
                    self.learning_rate * gradient / np.sqrt(self.squares[name] + EPSILON)
                )
        return total / (n_windows * n_steps)
