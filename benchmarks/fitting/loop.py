"""The same fit as a loop in PyTorch: packed sequences, fused Adam, clipping.

The data are tensors beforehand, padded and time-major; a mini-batch is taken out, longest sequence
first, and packed. The second hidden bias is 0 and takes no gradient, but for that of nn.GRU.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

import cbptt
from engines.pytorch import KINDS, start
from fitting import BATCH, LEARNING_RATE, MAX_NORM, UNITS, utterances


def padded(sequences: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Return (T, n, D) and the lengths."""
    return (
        pad_sequence([torch.from_numpy(x) for x in sequences]),
        torch.tensor([len(x) for x in sequences]),
    )


class Loop:
    """nn.RNN, nn.GRU or nn.LSTM, and nn.Linear, starting from what the estimator draws."""

    def __init__(self, n_epochs: int, cell: str) -> None:
        torch.set_num_threads(1)
        self.n_epochs, self.cell = n_epochs, cell
        data = utterances()
        self.X, self.lengths = padded(data.X_train)
        self.y = torch.from_numpy(data.y_train)
        self.X_test, self.lengths_test = padded(data.X_test)
        self.y_test = torch.from_numpy(data.y_test)

    def logits(self, X: Tensor, lengths: Tensor, sequences: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sequences chosen, longest first, and a2 of their last steps."""
        order = lengths[sequences].argsort(descending=True)
        sequences = sequences[order]
        lengths = lengths[sequences]
        batch = pack_padded_sequence(X[: int(lengths[0]), sequences], lengths)
        _, state = self.rnn(batch)
        h_last = state[0] if self.cell == "lstm" else state
        return sequences, self.readout(h_last[0])

    def fit(self) -> None:
        """Train a new network."""
        torch.manual_seed(0)
        n_inputs, n_classes = self.X.shape[2], int(self.y.max()) + 1
        self.rnn = KINDS[self.cell](n_inputs, UNITS)
        self.readout = nn.Linear(UNITS, n_classes)
        network = cbptt.RNN(
            n_inputs, UNITS, n_classes, cell=self.cell, dtype="float32", random_state=0
        )
        parameters = list(start(self.rnn, self.readout, network.parameters).values())
        optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)
        for _ in range(self.n_epochs):
            for drawn in torch.randperm(len(self.y)).split(BATCH):
                sequences, z = self.logits(self.X, self.lengths, drawn)
                optimizer.zero_grad(set_to_none=True)
                functional.cross_entropy(z, self.y[sequences]).backward()
                clip_grad_norm_(parameters, MAX_NORM)
                optimizer.step()

    def accuracy(self) -> float:
        """Fit; return the accuracy on the test set."""
        self.fit()
        everyone = torch.arange(len(self.y_test))
        with torch.inference_mode():
            sequences, z = self.logits(self.X_test, self.lengths_test, everyone)
        return float((z.argmax(dim=1) == self.y_test[sequences]).float().mean())
