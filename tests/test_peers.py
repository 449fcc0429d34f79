"""The network and its training against PyTorch's nn.RNN and optimisers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import cbptt
from cbptt.optimizers import AdaGrad, Adam, RmsProp, Sgd

torch = pytest.importorskip("torch", reason="PyTorch, the peer to compare with, is not installed")

D, M, K = 3, 17, 4
LENGTHS = (5, 1, 9, 3, 9, 2, 7, 1, 4)
READOUTS = pytest.mark.parametrize("readout", ["every", "last"])
LOSSES = pytest.mark.parametrize("loss", ["log_loss", "squared_error"])


@pytest.fixture(autouse=True, scope="module")
def one_torch_thread():
    """Small products are slower with more."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


class TorchNetwork(torch.nn.Module):
    """nn.RNN and a Linear layer, with the parameters of one of our networks.

    PyTorch adds two biases where the lecture has b0; one of them is b0 here, the other stays 0.
    """

    def __init__(self, net):
        super().__init__()
        self.rnn = torch.nn.RNN(
            net.n_inputs, net.hidden_size, nonlinearity=net.activation, dtype=torch.float64
        )
        self.fc = torch.nn.Linear(net.hidden_size, net.n_outputs, dtype=torch.float64)
        self.named = {
            "weight_ih": self.rnn.weight_ih_l0,
            "weight_hh": self.rnn.weight_hh_l0,
            "bias_h": self.rnn.bias_ih_l0,
            "weight_ho": self.fc.weight,
            "bias_o": self.fc.bias,
        }
        with torch.no_grad():
            self.rnn.bias_hh_l0.zero_()
            for name, parameter in self.named.items():
                parameter.copy_(torch.from_numpy(net.parameters[name]))
        self.readout, self.loss_name = net.readout, net.loss_name

    def loss(self, X, Y, h0=None):
        """The sum of the losses of ragged sequences."""
        lengths = [len(x) for x in X]
        packed = torch.nn.utils.rnn.pack_sequence(X, enforce_sorted=False)
        hidden, state = self.rnn(packed, None if h0 is None else h0[None])
        if self.readout == "last":
            read, target = state[0], torch.stack(Y)
        else:
            padded, _ = torch.nn.utils.rnn.pad_packed_sequence(hidden, batch_first=True)
            read = torch.cat([h[:n] for h, n in zip(padded, lengths, strict=True)])
            target = torch.cat(Y)
        if self.loss_name == "log_loss":
            return torch.nn.functional.cross_entropy(self.fc(read), target, reduction="sum")
        return torch.nn.functional.mse_loss(self.fc(read), target, reduction="sum") / 2


def make_net(readout, loss, activation="tanh"):
    output = "softmax" if loss == "log_loss" else "identity"
    return cbptt.RNN(
        D,
        M,
        K,
        activation=activation,
        output_activation=output,
        loss=loss,
        readout=readout,
        init="uniform",
        random_state=0,
    )


def make_data(readout, loss):
    rng = np.random.default_rng(1)
    X = [rng.normal(size=(T, D)) for T in LENGTHS]
    shapes = [(T,) for T in LENGTHS] if readout == "every" else [()] * len(LENGTHS)
    if loss == "log_loss":
        Y = [np.asarray(rng.integers(K, size=s)) for s in shapes]
    else:
        Y = [rng.normal(size=(*s, K)) for s in shapes]
    return X, Y


def tensors(arrays):
    return [torch.from_numpy(a) for a in arrays]


def assert_near(actual, expected):
    """Within 1e-12 of the largest entry."""
    expected = expected.numpy()
    assert_allclose(actual, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@LOSSES
@pytest.mark.parametrize("steps", [1, 3, 4])
def test_truncated_gradients_are_those_of_pytorch_with_detached_states(steps, loss):
    net = make_net("every", loss)
    X, Y = make_data("every", loss)
    theirs = TorchNetwork(net)
    for x, y in zip(tensors(X), tensors(Y), strict=True):
        state = torch.zeros(1, M, dtype=torch.float64)
        for done in range(0, len(x), steps):
            part = x[done : done + steps]
            theirs.loss([part], [y[done : done + steps]], state).backward()
            state = theirs.rnn(part, state)[1].detach()
    _, gradients = net.loss_and_gradients(X, Y, reduction="sum", bptt_steps=steps)
    for name, parameter in theirs.named.items():
        assert_near(gradients[name], parameter.grad)


@pytest.mark.parametrize("readout", ["mean", "max"])
def test_gradients_of_pooled_readouts_are_those_of_pytorch(readout):
    net = make_net(readout, "log_loss")
    X, Y = make_data(readout, "log_loss")
    theirs = TorchNetwork(net)
    loss = 0
    for x, y in zip(tensors(X), tensors(Y), strict=True):
        hidden, _ = theirs.rnn(x)
        read = hidden.mean(dim=0) if readout == "mean" else hidden.amax(dim=0)
        loss = loss + torch.nn.functional.cross_entropy(theirs.fc(read), y)
    loss.backward()
    ours, gradients = net.loss_and_gradients(X, Y, reduction="sum")
    assert_allclose(ours, loss.item(), rtol=1e-12)
    for name, parameter in theirs.named.items():
        assert_near(gradients[name], parameter.grad)


@READOUTS
@LOSSES
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_loss_and_gradients_are_those_of_pytorch(activation, loss, readout):
    net = make_net(readout, loss, activation)
    X, Y = make_data(readout, loss)
    h0 = np.random.default_rng(2).uniform(-0.5, 0.5, size=(len(X), M))
    actual, gradients = net.loss_and_gradients(X, Y, reduction="sum", h0=h0, inputs=True)

    peer = TorchNetwork(net)
    inputs = [x.requires_grad_() for x in tensors(X)]
    state = torch.from_numpy(h0).requires_grad_()
    expected = peer.loss(inputs, tensors(Y), state)
    expected.backward()

    assert_allclose(actual, expected.item(), rtol=1e-13)
    for name, parameter in peer.named.items():
        assert_near(gradients[name], parameter.grad)
    assert_near(gradients["h0"], state.grad)
    for i, x in enumerate(inputs):
        assert_near(gradients["X"][i], x.grad)


# PyTorch's momentum sums gradients, b = mu b + g, and steps by -eta b, or -eta (g + mu b) with
# Nesterov's look-ahead. Ours sums steps, v = mu v - eta g. With a constant eta v = -eta b, and the
# two tread the same path.
OPTIMIZERS = {
    "adam": (Adam(0.01), lambda p: torch.optim.Adam(p, 0.01)),
    "rmsprop": (
        RmsProp(0.01, beta_2=0.8),
        lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.8, eps=1e-8),
    ),
    "adagrad": (AdaGrad(0.05), lambda p: torch.optim.Adagrad(p, 0.05, eps=1e-8)),
    "adam, other constants": (
        Adam(0.02, beta_1=0.5, beta_2=0.9, epsilon=0.01),
        lambda p: torch.optim.Adam(p, 0.02, betas=(0.5, 0.9), eps=0.01),
    ),
    "nesterov": (
        Sgd(0.05, 0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    ),
    "momentum": (
        Sgd(0.05, 0.8, nesterov=False),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.8),
    ),
}


@READOUTS
@LOSSES
@pytest.mark.parametrize(("ours", "theirs"), OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_training_treads_the_path_of_pytorch(ours, theirs, loss, readout, make_trainer):
    net = make_net(readout, loss)
    X, Y = make_data(readout, loss)
    peer = TorchNetwork(net)
    optimizer = theirs(peer.named.values())
    trainer = make_trainer(net, X, Y, ours, batch_size=4)
    for _ in range(3):
        epoch = trainer.epoch()
        total, n_targets = 0, 0
        for first in range(0, len(X), 4):
            batch = slice(first, first + 4)
            n = sum(LENGTHS[batch]) if readout == "every" else len(X[batch])
            optimizer.zero_grad()
            mean = peer.loss(tensors(X[batch]), tensors(Y[batch])) / n
            mean.backward()
            optimizer.step()
            total, n_targets = total + n * mean.item(), n_targets + n
        assert_allclose(epoch.loss, total / n_targets, rtol=1e-11)
        for name, parameter in peer.named.items():
            expected = parameter.detach().numpy()
            assert_allclose(net.parameters[name], expected, rtol=0, atol=1e-11)


@READOUTS
def test_forward_in_float32_is_that_of_pytorch_in_float64(readout):
    net = make_net(readout, "squared_error")
    X, _ = make_data(readout, "squared_error")
    peer = TorchNetwork(net)
    forward = net.astype("float32").forward(X)
    for i, x in enumerate(tensors(X)):
        with torch.no_grad():
            hidden, state = peer.rnn(x)
            output = peer.fc(hidden if readout == "every" else state[0])
        assert_allclose(forward.hidden[i], hidden, atol=1e-6)
        assert_allclose(forward.output[i], output, atol=2e-6)
        assert_allclose(forward.state[i], state[0], atol=1e-6)
