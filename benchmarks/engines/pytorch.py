"""PyTorch: nn.RNN, nn.GRU or nn.LSTM, and nn.Linear, differentiated by autograd.

Time-major, which is its best layout. Of the two hidden biases the second is 0 and takes no
gradient, as it would double the first; but of nn.GRU its last third is a bias of its own. Packed
and padded batches are built beforehand, longest sequence first, so that nothing is sorted or
permuted while the clock runs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from shapes import Array, Problem

NO_CLASS = -100


KINDS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
NAMES = {
    "weight_ih": "weight_ih",
    "weight_hh": "weight_hh",
    "bias_h": "bias_ih",
    "bias_hn": "bias_hh",
}


def start(rnn: nn.RNNBase, readout: nn.Linear, parameters: Any) -> dict[str, nn.Parameter]:
    """Copy starting values in; return torch's parameters by cbptt's names.

    The one of bias_hn is the whole second bias, see `own`.
    """
    named = {"weight_ho": readout.weight, "bias_o": readout.bias}
    for suffix in (n.removeprefix("weight_ih") for n in parameters if n.startswith("weight_ih")):
        second = getattr(rnn, f"bias_hh{suffix or '_l0'}")
        with torch.no_grad():
            second.zero_()
        second.requires_grad_(f"bias_hn{suffix}" in parameters)
        for name, theirs in NAMES.items():
            if f"{name}{suffix}" in parameters:
                named[f"{name}{suffix}"] = getattr(rnn, f"{theirs}{suffix or '_l0'}")
    with torch.no_grad():
        for name, parameter in named.items():
            own(name, parameter).copy_(torch.from_numpy(parameters[name].copy()))
    return named


def own(name: str, tensor: Tensor) -> Tensor:
    """Return the part of a parameter, or of its gradient, that cbptt has by this name."""
    return tensor[-len(tensor) // 3 :] if name.startswith("bias_hn") else tensor


class Pytorch(ABC):
    """What all forms share; a form lays the batch out and says what is read of the states."""

    x: Any
    target: Tensor

    def __init__(self, problem: Problem, dtype: str, n_threads: int) -> None:
        torch.set_num_threads(n_threads)
        precision = getattr(torch, dtype)
        self.problem = problem
        self.rnn = KINDS[problem.cell](
            problem.D,
            problem.M,
            num_layers=problem.n_layers,
            bidirectional=problem.bidirectional,
            dtype=precision,
        )
        self.readout = nn.Linear(problem.width, problem.K, dtype=precision)
        self.named = start(self.rnn, self.readout, problem.network(dtype).parameters)
        self.every = problem.readout == "every"
        self.lay_out(*problem.data(dtype))

    @abstractmethod
    def lay_out(self, X: Array, Y: Array) -> None:
        """Store the batch and, as `target`, its targets."""

    @abstractmethod
    def logits(self) -> Tensor:
        """a2 of the rows that are read, in the form's own order."""

    @abstractmethod
    def rows(self, output: Array) -> Array:
        """Outputs in the order of X."""

    def loss(self, z: Tensor) -> Tensor:
        """The loss, summed over the targets."""
        z, target = z.reshape(-1, self.problem.K), self.target.reshape(-1)
        if self.problem.K == 1:
            return functional.mse_loss(z[:, 0], target, reduction="sum") / 2
        return functional.cross_entropy(z, target, reduction="sum", ignore_index=NO_CLASS)

    def step(self) -> Tensor:
        """Loss and gradients; the latter are left in the parameters."""
        for parameter in self.named.values():
            parameter.grad = None
        loss = self.loss(self.logits())
        loss.backward()
        return loss

    def forward(self) -> Tensor:
        """Outputs."""
        with torch.inference_mode():
            z = self.logits()
            return torch.softmax(z, dim=-1) if self.problem.K > 1 else z

    def computed(self) -> dict[str, Any]:
        """Loss, gradients, outputs."""
        loss = self.step().item()
        gradients = {name: own(name, p.grad).numpy() for name, p in self.named.items()}
        return {"loss": loss, **gradients, "output": self.rows(self.forward().numpy())}


class Equal(Pytorch):
    """Sequences of equal lengths."""

    def lay_out(self, X: Array, Y: Array) -> None:
        self.x = torch.from_numpy(self.problem.time_major(X))
        self.target = torch.from_numpy(self.problem.time_major_targets(Y))

    def logits(self) -> Tensor:
        h, _ = self.rnn(self.x)
        if self.every:
            return self.readout(h)
        if not self.problem.bidirectional:
            return self.readout(h[-1])
        M = self.problem.M  # the reverse direction ends at the first step
        return self.readout(torch.cat([h[-1, :, :M], h[0, :, M:]], dim=1))

    def rows(self, output: Array) -> Array:
        return self.problem.rows(output)


class Ragged(Pytorch):
    """Sequences of unequal lengths, longest first; the targets are classes."""

    def lay_out(self, X: Array, Y: Array) -> None:
        problem = self.problem
        assert problem.K > 1, "padding is marked by a class"
        self.order = np.argsort(-np.asarray(problem.lengths), kind="stable")
        self.lengths = torch.tensor(np.asarray(problem.lengths)[self.order])
        sequences = problem.split(X)
        self.x = pad_sequence([torch.from_numpy(sequences[i]) for i in self.order])
        if self.every:
            targets = problem.split(Y)
            self.target = pad_sequence(
                [torch.from_numpy(targets[i]) for i in self.order], padding_value=NO_CLASS
            )
        else:
            self.target = torch.from_numpy(Y[self.order])

    def unsorted(self, sequences: list[Array]) -> Array:
        """Join what is told of the sorted sequences, in the order of X."""
        places = np.argsort(self.order)
        return np.concatenate([sequences[i] for i in places])


class Padded(Ragged):
    """A padded batch: the last valid state is gathered, or the loss leaves the padding out.

    In the reverse direction padding would come first, so there is only the forward one.
    """

    def lay_out(self, X: Array, Y: Array) -> None:
        super().lay_out(X, Y)
        self.last = self.lengths - 1, torch.arange(self.problem.B)

    def logits(self) -> Tensor:
        h, _ = self.rnn(self.x)
        return self.readout(h if self.every else h[self.last])

    def rows(self, output: Array) -> Array:
        if self.every:
            return self.unsorted([output[:T, i] for i, T in enumerate(self.lengths.tolist())])
        return self.unsorted(list(output[:, None]))


class Packed(Ragged):
    """A PackedSequence."""

    def lay_out(self, X: Array, Y: Array) -> None:
        super().lay_out(X, Y)
        self.x = pack_padded_sequence(self.x, self.lengths)
        if self.every:
            self.target = pack_padded_sequence(self.target, self.lengths).data

    def logits(self) -> Tensor:
        h, state = self.rnn(self.x)
        if self.every:
            return self.readout(h.data)
        h_last = (state[0] if self.problem.cell == "lstm" else state)[-self.problem.n_directions :]
        return self.readout(torch.cat(h_last.unbind(), dim=1) if len(h_last) > 1 else h_last[0])

    def rows(self, output: Array) -> Array:
        if not self.every:
            return self.unsorted(list(output[:, None]))
        starts = np.concatenate([[0], np.cumsum(self.x.batch_sizes.numpy())])
        return self.unsorted([output[starts[:T] + i] for i, T in enumerate(self.lengths.tolist())])
