"""The training of `digits` in PyTorch: packed sequences, fused Adam, clipping, cosine.

The starting values are those of RNNClassifier with the same random_state. The orders of the
sequences, and what is dropped, PyTorch draws itself. The second hidden bias of nn.RNN is 0 and
takes no gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.optim.lr_scheduler import CosineAnnealingLR

import cbptt
from engines.pytorch import start


def padded(X: cbptt.Ragged) -> tuple[Tensor, Tensor]:
    """Return (T, n, D) and the lengths."""
    return pad_sequence([torch.from_numpy(x) for x in X.to_list()]), torch.from_numpy(X.lengths)


class Loop:
    """nn.RNN, the largest value of each unit over time, and nn.Linear.

    Parameters
    ----------
    X, y : sequences, float32, and classes from 0 up
    parameters : those of RNNClassifier
    seed : its random_state
    """

    def __init__(
        self, X: cbptt.Ragged, y: NDArray[np.int64], parameters: dict[str, Any], seed: int
    ) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        self.parameters = parameters
        self.X, self.lengths = padded(X)
        self.y = torch.from_numpy(y)
        D, M, K = X.values.shape[1], parameters["hidden_layer_sizes"], int(y.max()) + 1
        self.rnn, self.readout = nn.RNN(D, M), nn.Linear(M, K)
        rng = np.random.default_rng(np.random.RandomState(seed).randint(2**31))
        network = cbptt.RNN(D, M, K, dtype="float32", random_state=rng)
        self.learned = list(start(self.rnn, self.readout, network.parameters).values())

    def logits(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Return a2 of sequences that are sorted, longest first."""
        states, _ = self.rnn(pack_padded_sequence(x, lengths))
        h, _ = pad_packed_sequence(states, padding_value=-1.0)  # tanh is above it
        return self.readout(h.max(dim=0).values)

    def fit(self) -> None:
        """Train from the starting values on."""
        parameters = self.parameters
        optimizer = torch.optim.Adam(self.learned, parameters["learning_rate_init"], fused=True)
        schedule = CosineAnnealingLR(optimizer, parameters["max_iter"])
        for _ in range(parameters["max_iter"]):
            for drawn in torch.randperm(len(self.y)).split(parameters["batch_size"]):
                x, lengths, sequences = self.batch(drawn)
                kept = functional.dropout(torch.ones_like(x[0]), parameters["dropout"])
                loss = functional.cross_entropy(self.logits(x * kept, lengths), self.y[sequences])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                clip_grad_norm_(self.learned, parameters["max_grad_norm"])
                optimizer.step()
            schedule.step()

    def batch(self, drawn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return sequences as they are packed, longest first: x, lengths, and which they are."""
        sequences = drawn[self.lengths[drawn].argsort(descending=True)]
        lengths = self.lengths[sequences]
        return self.X[: int(lengths[0]), sequences], lengths, sequences

    def score(self, X: cbptt.Ragged, y: NDArray[np.int64]) -> float:
        """Return the accuracy."""
        x, lengths = padded(X)
        order = lengths.argsort(descending=True)
        with torch.inference_mode():
            told = self.logits(x[:, order], lengths[order]).argmax(dim=1)
        return float((told == torch.from_numpy(y)[order]).double().mean())
