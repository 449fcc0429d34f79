"""Cells, layers and directions: the reference by the complex step, the core by the reference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from combinations import pairwise
from numpy.testing import assert_allclose, assert_array_equal

import cbptt
from cbptt import reference
from cbptt.engine import engine
from cbptt.engine.results import Dropout

CELLS = ("rnn", "gru", "lstm")
SIZES = [(1, (1,)), (3, (17,)), (40, (33, 5)), (2, (4, 1, 6))]  # inputs, the units of each layer
READOUTS = ("every", "last", "mean", "max")
PAIRS = [("log_loss", "softmax"), ("log_loss", "logistic"), ("squared_error", "identity")]
PAIRS += [("squared_error", "softmax")]
STATES = ("zero", "given", "learned", "learned but given")
MASKS = ("", "inputs", "recurrent", "inputs and recurrent")
WAYS = [(None, 1), (1, 2), ("auto", 3)]  # checkpoint, threads
CLOSE = {"float64": 1e-12, "float32": 1e-4}
EACH_CELL = pytest.mark.parametrize("cell", CELLS)
K = 2


@dataclass(frozen=True)
class Case:
    """A network, what it reads, and how it is run."""

    cell: str
    bidirectional: bool = False
    n_inputs: int = 3
    sizes: tuple[int, ...] = (4, 3)
    readout: str = "every"
    loss: str = "squared_error"
    output: str = "identity"
    state: str = "given"
    masks: str = ""
    checkpoint: int | str | None = None
    n_threads: int = 1
    lengths: tuple[int, ...] = (5, 1, 8, 3, 1, 8)
    activation: str = "tanh"

    def __str__(self):
        kept = f"checkpoint {self.checkpoint}"
        of_net = [self.cell, "both" * self.bidirectional, self.sizes, self.readout, self.output]
        of_run = [self.loss, self.state, self.masks, kept, f"{self.n_threads} threads"]
        return ", ".join(str(part) for part in of_net + of_run if part)


@cache
def made(case):
    """The network in float64, and data for it."""
    rng = np.random.default_rng(0)
    net = cbptt.RNN(
        case.n_inputs,
        case.sizes,
        K,
        cell=case.cell,
        bidirectional=case.bidirectional,
        activation=case.activation,
        output_activation=case.output,
        loss=case.loss,
        readout=case.readout,
        learn_initial_state="learned" in case.state,
        random_state=1,
    )
    for array in net.parameters.values():
        # of this size the states are not chaotic
        scale = array.shape[-1] ** -0.5 / 2 if array.ndim == 2 else 0.25
        array += rng.normal(0, scale, array.shape)
    places = [(T,) if case.readout == "every" else () for T in case.lengths]
    if case.loss == "squared_error":
        Y = targets = [rng.normal(size=(*place, K)) for place in places]
    elif case.output == "logistic":
        Y = targets = [rng.integers(2, size=(*place, K)).astype(float) for place in places]
    else:
        Y = [rng.integers(K, size=place) for place in places]
        targets = [reference.one_hot(y, K) for y in Y]
    # some are 0, but not all
    weights = [rng.integers(i == 0, 3, size=place) / 2 for i, place in enumerate(places)]
    n, own = len(places), net.engine.architecture

    def mask(name, width):
        return rng.choice([0, 0.5, 1.5, 2], size=(n, width)) if name in case.masks else None

    return SimpleNamespace(
        net=net,
        X=[rng.normal(size=(T, case.n_inputs)) for T in case.lengths],
        Y=Y if case.readout == "every" else np.array(Y),
        targets=targets,
        weights=weights,
        h0=rng.normal(0, 0.5, (n, own.state_width)) if "given" in case.state else None,
        inputs=mask("inputs", own.input_width),
        recurrent=mask("recurrent", own.unit_width),
    )


def arguments(case, ids):
    """What the reference takes of sequences of one length: arrays, and names."""
    data = made(case)

    def rows(array):
        return None if array is None else array[ids]

    axis = 1 if case.readout == "every" else 0
    target, weight = (np.stack([a[i] for i in ids], axis) for a in (data.targets, data.weights))
    arrays = [np.stack([data.X[i] for i in ids], 1), target, weight, rows(data.h0)]
    masks = {"input_mask": rows(data.inputs), "recurrent_mask": rows(data.recurrent)}
    return arrays, masks | {
        "cell": case.cell,
        "activation": case.activation,
        "output_activation": case.output,
        "loss": case.loss,
        "readout": case.readout,
    }


@cache
def of_the_reference(case):
    """Everything that the reference computes of the sequences, one at a time."""
    net, found = made(case).net, []
    for i in range(len(case.lengths)):
        arrays, names = arguments(case, [i])
        found.append(reference.stack_bptt(net.parameters, *arrays, **names))
    total = {name: sum(one.gradients[name] for one in found) for name in net.parameters}
    return total | {
        "loss": sum(one.loss for one in found),
        "h0": np.concatenate([one.gradients["h0"] for one in found]),
        "X": np.concatenate([one.gradients["X"][:, 0] for one in found]),
    }


@cache
def forward_of_the_reference(case):
    """What the reference computes of each sequence without dropout."""
    found = []
    for i in range(len(case.lengths)):
        (x, _, _, h0), names = arguments(case, [i])
        for name in ("loss", "input_mask", "recurrent_mask"):
            del names[name]
        one = reference.stack_forward(made(case).net.parameters, x, h0, **names)
        output = one.h2[:, 0] if case.readout == "every" else one.h2[0]
        found.append({"hidden": one.hidden[:, 0], "output": output, "state": one.state[0]})
    return found


def run(case, dtype="float64"):
    """Loss and gradients of the compiled core, of all sequences at a time."""
    data, net = made(case), made(case).net.astype(dtype)
    masks = [
        np.empty((0, 0), dtype) if mask is None else mask.astype(dtype)
        for mask in (data.inputs, data.recurrent)
    ]
    found = net.engine.gradient(
        net.shard(data.X, data.Y, data.weights, data.h0),
        case.n_threads,
        inputs=True,
        dropout=Dropout(*masks) if case.masks else None,
        checkpoint=case.checkpoint,
    )
    named = {"loss": found.loss_sum, "h0": found.dh0, "X": found.dx}
    return net.layout.views(found.gradient) | named


def assert_agree(actual, expected, tolerance):
    for name, array in expected.items():
        scale = max(np.abs(array).max(), 1e-3)
        assert np.shape(actual[name]) == np.shape(array)
        assert np.abs(actual[name] - array).max() <= tolerance * scale, name


# ---- the numbers ---------------------------------------------------------------------------------

CASES = [
    Case(cell, both, *sizes, readout, *pair, state, masks, *way)
    for (cell, both), sizes, readout, pair, state, masks, way in pairwise(
        [(cell, both) for cell in CELLS for both in (False, True)],
        SIZES,
        READOUTS,
        PAIRS,
        STATES,
        MASKS,
        WAYS,
    )
]
LARGE = [Case(cell, sizes=(400,), lengths=(4, 1, 6), masks=MASKS[-1]) for cell in CELLS]
# several chunks of steps, in several segments too
LARGE += [
    Case(cell, both, readout=readout, masks=MASKS[-1], checkpoint=kept, lengths=(410, 1, 130))
    for cell in CELLS
    for both, readout, kept in ((False, "every", None), (False, "max", "auto"), (True, "mean", 1))
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_of_the_reference_are_those_of_the_complex_step(case):
    # along one direction of each array at a time, which no wrong gradient is right along
    sizes = {1: (5,), 2: (2, 5), 3: (3, 2, 4)}[len(case.sizes)]
    case = replace(case, n_inputs=3, sizes=sizes, lengths=(6, 6, 6))
    net, rng = made(case).net, np.random.default_rng(2)
    (x, target, weight, h0), names = arguments(case, [0, 1, 2])
    exact = reference.stack_bptt(net.parameters, x, target, weight, h0, **names).gradients
    everything = dict(net.parameters) | {"X": x, "h0": h0}
    for name, array in everything.items():
        if array is None:
            continue
        direction = rng.normal(size=array.shape)

        def loss(s, name=name, array=array, direction=direction):
            at = everything | {name: array + s * direction}
            x, h0 = at.pop("X"), at.pop("h0")
            return reference.stack_loss(at, x, target, weight, h0, **names)

        expected = reference.complex_step(loss, 0.0)
        scale = np.abs(exact[name] * direction).sum()
        assert (scale == 0) == (name == "initial_state" and h0 is not None)
        assert abs((exact[name] * direction).sum() - expected) <= 1e-12 * scale, name


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_one_layer_of_the_cell_rnn_is_the_network_of_the_lecture(activation):
    case = Case("rnn", sizes=(4,), lengths=(5, 5), activation=activation)
    net = made(case).net
    arrays, names = arguments(case, [0, 1])
    found = reference.stack_bptt(net.parameters, *arrays, **names)
    for name in ("cell", "input_mask", "recurrent_mask"):
        del names[name]
    expected = reference.bptt(net.parameters, *arrays, **names)
    assert_agree(found.gradients, expected.gradients, 1e-13)
    assert found.loss == pytest.approx(expected.loss, rel=1e-13)


@EACH_CELL
def test_the_reference_keeps_float32(cell):
    case = Case(cell, bidirectional=True, masks=MASKS[-1])
    arrays, names = arguments(case, [2, 5])
    names |= {name: names[name].astype("float32") for name in ("input_mask", "recurrent_mask")}
    parameters = made(case).net.astype("float32").parameters
    found = reference.stack_bptt(parameters, *(a.astype("float32") for a in arrays), **names)
    assert {array.dtype.name for array in found.gradients.values()} == {"float32"}
    assert found.loss.dtype == "float32"


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"cell": "elman"}, "cell='elman' is not known"),
        ({"cell": "lstm"}, "parameters are .*bias_hn_l0.* must be "),
        ({"readout": "first"}, "readout='first' is not known"),
        ({"loss": "log_loss"}, "does not go with"),
        ({"weight_hh_l0": np.ones((12, 3))}, r"weight_hh_l0 has shape \(12, 3\).* \(12, 4\)"),
        ({"weight_ho": np.ones((2, 4))}, r"weight_ho has shape \(2, 4\), but must have \(2, 3\)"),
        ({"weight_ih_l0": np.ones(())}, r"weight_ih_l0 has shape \(\)"),
        ({"h0": np.ones((1, 8))}, r"h0 has shape \(1, 8\), but must have \(1, 7\)"),
        ({"input_mask": np.ones((1, 3))}, r"input_mask .* must have \(1, 7\)"),
        ({"recurrent_mask": np.ones(7)}, r"recurrent_mask has shape \(7,\)"),
        ({"weight_ih_l3": np.ones((9, 3))}, "parameters are .*weight_ih_l3"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_the_reference_names_what_does_not_fit(wrong, match):
    case = Case("gru")
    (x, target, weight, h0), names = arguments(case, [0])
    parameters = dict(made(case).net.parameters)
    parameters |= {name: array for name, array in wrong.items() if name[0] in "wb"}
    names |= {name: value for name, value in wrong.items() if name in names}
    with pytest.raises(ValueError, match=match):
        reference.stack_bptt(parameters, x, target, weight, wrong.get("h0", h0), **names)


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("case", CASES + LARGE, ids=str)
def test_losses_and_gradients_are_those_of_the_reference(case, dtype):
    assert_agree(run(case, dtype), of_the_reference(case), CLOSE[dtype])


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("case", CASES + LARGE, ids=str)
def test_outputs_and_states_are_those_of_the_reference(case, dtype):
    data, net = made(case), made(case).net.astype(dtype)
    outcome = net.forward(data.X, data.h0)
    for i, expected in enumerate(forward_of_the_reference(case)):
        actual = {name: getattr(outcome, name)[i] for name in expected}
        assert_agree(actual, expected, CLOSE[dtype])


@pytest.mark.parametrize("activation", ["relu", "logistic", "identity"])
def test_so_they_are_of_layers_with_other_activations(activation):
    for bidirectional in (False, True):
        case = Case("rnn", bidirectional, masks=MASKS[-1], activation=activation)
        assert_agree(run(case), of_the_reference(case), CLOSE["float64"])


@EACH_CELL
def test_so_they_are_where_blas_takes_products(cell, monkeypatch):
    monkeypatch.setattr(engine, "PRODUCTS", "blas")
    case = Case(cell, bidirectional=True, masks=MASKS[-1], readout="last")
    assert_agree(run(case), of_the_reference(case), CLOSE["float64"])


# ---- laws ----------------------------------------------------------------------------------------

# several parts of several chunks
LONG = (700, 1, *range(20, 60), 700)


@pytest.mark.parametrize("dtype", CLOSE)
@EACH_CELL
def test_threads_and_checkpoints_leave_every_bit(cell, dtype):
    case = Case(cell, True, 3, (65, 5), readout="mean", masks=MASKS[-1], lengths=LONG)
    expected = run(case, dtype)
    for checkpoint, n_threads in ((None, 2), (1, 1), (70, 3), ("auto", 2)):
        found = run(replace(case, checkpoint=checkpoint, n_threads=n_threads), dtype)
        for name, array in expected.items():
            assert_array_equal(found[name], array, err_msg=name)


@EACH_CELL
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_order_of_sequences_does_not_matter(cell, bidirectional):
    data = made(Case(cell, bidirectional, lengths=LONG))
    order = np.random.default_rng(3).permutation(len(LONG))
    X, Y, weights = ([a[i] for i in order] for a in (data.X, data.Y, data.weights))
    h0 = data.h0[order]
    expected = data.net.loss_and_gradients(data.X, data.Y, data.weights, "sum", data.h0)[1]
    found = data.net.loss_and_gradients(X, Y, weights, "sum", h0)[1]
    assert_agree(found, expected, 1e-12)


@EACH_CELL
def test_a_carried_state_continues_a_sequence(cell):
    data = made(Case(cell, readout="last", lengths=(9, 6, 12)))
    whole = data.net.forward(data.X, data.h0)
    first = data.net.forward([x[:5] for x in data.X], data.h0)
    second = data.net.forward([x[5:] for x in data.X], first.state)
    assert_allclose(second.state, whole.state, rtol=0, atol=1e-13)
    assert_allclose(second.output, whole.output, rtol=0, atol=1e-13)


@EACH_CELL
def test_the_reverse_direction_is_the_forward_one_of_reversed_sequences(cell):
    M = 4
    case = Case(cell, bidirectional=True, sizes=(M,), state="zero")
    both = made(case)
    one = made(replace(case, bidirectional=False)).net.astype("float64")
    for name in ("weight_ih", "weight_hh", "bias_h", "bias_hn")[: 4 if cell == "gru" else 3]:
        one.parameters[name][...] = both.net.parameters[f"{name}_l0_reverse"]
    hidden = both.net.forward(both.X).hidden
    for x, h in zip(both.X, hidden, strict=True):
        assert_allclose(h[::-1, M:], one.forward([x[::-1]]).hidden[0], rtol=0, atol=1e-13)


@EACH_CELL
def test_a_window_of_all_steps_is_full_backpropagation(cell):
    data = made(Case(cell))
    arguments = data.X, data.Y, data.weights, "sum", data.h0
    expected = data.net.loss_and_gradients(*arguments)[1]
    assert_agree(data.net.loss_and_gradients(*arguments, bptt_steps=8)[1], expected, 1e-13)


@EACH_CELL
def test_a_loss_flows_back_through_a_window_from_the_state_before_it(cell):
    case, steps = Case(cell), 3
    data, total = made(case), {}
    parameters = data.net.parameters
    for i, T in enumerate(case.lengths):
        (x, target, weight, h0), names = arguments(case, [i])
        for t in range(T):
            start = max(t + 1 - steps, 0)
            state = h0
            if start > 0:
                state = reference.stack_forward(parameters, x[:start], h0, cell=cell).state
            at_t = weight[start : t + 1] * (np.arange(start, t + 1) == t)[:, None]
            window = x[start : t + 1], target[start : t + 1], at_t, state
            gradients = reference.stack_bptt(parameters, *window, **names).gradients
            for name in parameters:
                total[name] = total.get(name, 0) + gradients[name]
    found = data.net.loss_and_gradients(
        data.X, data.Y, data.weights, "sum", data.h0, bptt_steps=steps, bptt_stride=1
    )[1]
    assert_agree(found, total, CLOSE["float64"])


@EACH_CELL
def test_live_steps_are_those_of_a_sequence(cell):
    data = made(Case(cell, lengths=(7,)))
    whole, h, live = data.net.forward(data.X, data.h0), data.h0, data.net.live()
    for t, x in enumerate(data.X[0]):
        out, h = live.step(x[None].copy(), h)
        assert_allclose(out[0], whole.output[0][t], rtol=0, atol=1e-13)
    assert_allclose(h, whole.state, rtol=0, atol=1e-13)


# ---- PyTorch -------------------------------------------------------------------------------------


@EACH_CELL
@pytest.mark.parametrize(
    ("sizes", "bidirectional", "readout"), [((4,), False, "every"), ((4, 4), True, "last")]
)
def test_pytorch_agrees_with_parameters_named_as_the_guide_says(
    cell, sizes, bidirectional, readout
):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    case = Case(cell, bidirectional, sizes=sizes, readout=readout)
    data, M, n_layers = made(case), sizes[0], len(sizes)
    net, n = data.net, len(case.lengths)
    kind = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
    peer = kind(case.n_inputs, M, n_layers, bidirectional=bidirectional, dtype=torch.float64)
    own = {name: torch.tensor(array, requires_grad=True) for name, array in net.parameters.items()}
    theirs = {}
    for name in dict(peer.named_parameters()):
        if name.startswith("weight"):
            theirs[name] = own[name if len(own) > 6 else name.removesuffix("_l0")]
            continue
        suffix = name[len("bias_ih") :] if len(own) > 6 else ""
        bias = own[f"bias_h{suffix}"]
        if name.startswith("bias_hh"):
            bias = torch.zeros_like(bias)
            if cell == "gru":
                bias = torch.cat([bias[: 2 * M], own[f"bias_hn{suffix}"]])
        theirs[name] = bias

    X = [torch.tensor(x, requires_grad=True) for x in data.X]
    h0 = torch.tensor(data.h0, requires_grad=True)
    n_states = 2 if cell == "lstm" else 1
    # (layers and directions, n, M) of h, and of c
    states = h0.reshape(n, -1, n_states, M).permute(2, 1, 0, 3)
    packed = torch.nn.utils.rnn.pack_sequence(X, enforce_sorted=False)
    first = tuple(states) if cell == "lstm" else states[0]
    hidden, final = torch.func.functional_call(peer, theirs, (packed, first))
    if readout == "last":
        h_n = final[0] if cell == "lstm" else final
        read = torch.cat([h_n[-2], h_n[-1]], dim=1)
        target, weight = torch.tensor(data.Y), torch.tensor(np.array(data.weights))
    else:
        padded, _ = torch.nn.utils.rnn.pad_packed_sequence(hidden, batch_first=True)
        read = torch.cat([rows[:T] for rows, T in zip(padded, case.lengths, strict=True)])
        target = torch.tensor(np.concatenate(data.Y))
        weight = torch.tensor(np.concatenate(data.weights))
    z = torch.nn.functional.linear(read, own["weight_ho"], own["bias_o"])
    loss = (weight[:, None] * (z - target) ** 2).sum() / 2
    loss.backward()
    expected = {name: array.grad.numpy() for name, array in own.items()} | {
        "loss": loss.detach().numpy(),
        "h0": h0.grad.numpy(),
        "X": np.concatenate([x.grad.numpy() for x in X]),
    }
    assert_agree(run(case), expected, 1e-12)
