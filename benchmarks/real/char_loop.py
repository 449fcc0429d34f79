"""The training of `characters` in PyTorch: windows of streams, states detached, fused Adam.

The starting values, the windows and their order are those of RNNSequenceClassifier with the same
random_state. The second hidden bias of nn.RNN is 0 and takes no gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

import cbptt
from engines.pytorch import start


class CharLoop:
    """nn.RNN and nn.Linear on one-hot characters.

    Parameters
    ----------
    text : (N + 1,) numbers of characters, N a multiple of the streams and of their windows
    n_characters : how many there are
    parameters : those of RNNSequenceClassifier
    """

    def __init__(
        self, text: NDArray[np.intp], n_characters: int, parameters: dict[str, Any]
    ) -> None:
        torch.set_num_threads(1)
        self.parameters = parameters
        M, n_streams = parameters["hidden_layer_sizes"], parameters["batch_size"]
        streams = [text[:-1].reshape(n_streams, -1), text[1:].reshape(n_streams, -1)]
        self.inputs, self.targets = (torch.from_numpy(s.T.copy()) for s in streams)
        self.one_hot = torch.eye(n_characters)
        self.rnn, self.readout = nn.RNN(n_characters, M), nn.Linear(M, n_characters)
        rng = np.random.default_rng(
            np.random.RandomState(parameters["random_state"]).randint(2**31)
        )
        network = cbptt.RNN(n_characters, M, n_characters, dtype="float32", random_state=rng)
        self.learned = list(start(self.rnn, self.readout, network.parameters).values())
        rate = parameters["learning_rate_init"]
        self.optimizer = torch.optim.Adam(self.learned, rate, fused=True)

    def epoch(self) -> float:
        """Go once through the text; return the mean loss on the way."""
        total, h, n_steps = 0.0, None, self.parameters["bptt_steps"]
        windows = list(zip(self.inputs.split(n_steps), self.targets.split(n_steps), strict=True))
        for inputs, targets in windows:
            states, h = self.rnn(self.one_hot[inputs], h)
            loss = functional.cross_entropy(self.readout(states).flatten(0, 1), targets.flatten())
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            clip_grad_norm_(self.learned, self.parameters["max_grad_norm"])
            self.optimizer.step()
            h = h.detach()
            total += loss.item()
        return total / len(windows)

    def loss(self, text: NDArray[np.intp]) -> float:
        """Return the mean loss of a text that is read from its beginning, (N + 1,) characters."""
        characters = torch.from_numpy(text)
        with torch.inference_mode():
            states, _ = self.rnn(self.one_hot[characters[:-1]][:, None])
            z = self.readout(states[:, 0])
            return functional.cross_entropy(z, characters[1:]).item()
