"""What a compiled batch promises, whatever computes its products: numbers, and the mode."""

from __future__ import annotations

import os

import numpy as np
import pytest
from numpy.testing import assert_allclose
from processes import run_python

import cbptt
from cbptt import losses, reference
from cbptt.data.sequences import check_sequences
from cbptt.engine import engine

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
READOUTS = pytest.mark.parametrize("readout", losses.READOUTS)
CLOSE = {"float32": 2e-5, "float64": 1e-12}

# Tiles that are full and tiles that are not; inputs folded in or not; kernels for all products, or
# BLAS for those that time does not couple; more steps than a chunk has rows.
SIZES = [
    # D, M, K, lengths
    (1, 1, 1, [1]),
    (1, 16, 1, [50] * 7),
    (3, 17, 2, [5, 1, 9, 9, 2]),
    (2, 33, 20, [700, 3]),
    (8, 65, 4, [20] * 13),
    (16, 96, 33, [12, 40, 33, 7, 40, 25] * 9),
    (257, 24, 5, [6, 4]),
    (5, 129, 300, [4, 7, 4]),
    (9, 390, 3, [30, 12, 25] * 2),
]
IDS = [f"D{D}-M{M}-K{K}-B{len(lengths)}" for D, M, K, lengths in SIZES]


def make_net(D, M, K, readout="every", dtype="float64", **options):
    chosen = {"output_activation": "softmax", "loss": "log_loss"} if K > 1 else {}
    return cbptt.RNN(D, M, K, readout=readout, dtype=dtype, random_state=0, **chosen | options)


def make_data(D, K, lengths, readout):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(length, D)) for length in lengths]
    places = lengths if readout == "every" else [()] * len(lengths)
    Y = [rng.integers(K, size=place) if K > 1 else rng.normal(size=place) for place in places]
    return X, Y if readout == "every" else np.array(Y)


def run(net, X, Y):
    """Loss, all derivatives and outputs, by name."""
    result = net.engine.gradient(net.shard(X, Y), inputs=True)
    found = {name: view.copy() for name, view in net.layout.views(result.gradient).items()}
    output = net.forward(X).output
    output = np.concatenate(list(output)) if net.readout == "every" else output
    return found | {"dh0": result.dh0, "dx": result.dx, "loss": result.loss_sum, "output": output}


def assert_agree(actual, expected, tolerance):
    for name, array in expected.items():
        scale = max(np.abs(array).max(), 1e-3)
        assert np.abs(actual[name] - array).max() <= tolerance * scale, name


def lecture(net, X, Y):
    """The same of the NumPy reference, a sequence at a time, in float64."""
    total: dict[str, np.ndarray | float] = {}
    for x, y in zip(X, Y, strict=True):
        y = np.atleast_1d(y)
        target = reference.one_hot(y, net.n_outputs) if net.n_outputs > 1 else y.astype(float)
        shape = (len(x), 1, net.n_outputs) if net.readout == "every" else (1, -1)
        found = reference.bptt(
            {name: view.astype(float) for name, view in net.parameters.items()},
            x[:, None],
            target.reshape(shape),
            loss=net.loss_name,
            output_activation=net.output_activation,
            readout=net.readout,
        )
        for name in (*net.parameters, "loss"):
            array = found.loss if name == "loss" else found.gradients[name]
            total[name] = total.get(name, 0) + array
    return total


# ---- the numbers ------------------------------------------------------------------------------


@READOUTS
@DTYPES
@pytest.mark.parametrize(("D", "M", "K", "lengths"), SIZES, ids=IDS)
def test_every_size_agrees_with_the_lecture(D, M, K, lengths, dtype, readout):
    net = make_net(D, M, K, readout, dtype)
    X, Y = make_data(D, K, lengths, readout)
    assert_agree(run(net, X, Y), lecture(net, X, Y), CLOSE[dtype])


@READOUTS
@DTYPES
@pytest.mark.parametrize(("D", "M", "K", "lengths"), SIZES, ids=IDS)
def test_the_kernels_and_blas_agree(D, M, K, lengths, dtype, readout, monkeypatch):
    X, Y = make_data(D, K, lengths, readout)
    monkeypatch.setattr(engine, "PRODUCTS", "kernels")
    by_kernels = run(make_net(D, M, K, readout, dtype), X, Y)
    monkeypatch.setattr(engine, "PRODUCTS", "blas")
    by_blas = run(make_net(D, M, K, readout, dtype), X, Y)
    assert_agree(by_kernels, by_blas, CLOSE[dtype])


@pytest.mark.parametrize("activation", ["relu", "logistic", "identity"])
@DTYPES
def test_other_activations_agree_with_blas(activation, dtype, monkeypatch):
    X, Y = make_data(3, 2, [20, 11, 20, 4], "every")
    found = []
    for products in ("kernels", "blas"):
        monkeypatch.setattr(engine, "PRODUCTS", products)
        net = make_net(3, 37, 2, "every", dtype, activation=activation)
        net.theta *= 0.5
        found.append(run(net, X, Y))
    assert_agree(*found, CLOSE[dtype])


SCRIPT = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from test_bptt import SIZES, make_data, make_net, run
from cbptt._kernels import instruction_set
found = {}
for i, (D, M, K, lengths) in enumerate(SIZES):
    for dtype in ("float32", "float64"):
        results = run(make_net(D, M, K, "every", dtype), *make_data(D, K, lengths, "every"))
        found |= {f"{i} {dtype} {name}": array for name, array in results.items()}
np.savez(sys.argv[2], isa=instruction_set(), **found)
"""


def test_every_instruction_set_agrees_with_the_base(tmp_path):
    found = {}
    for isa in ("base", "avx2", "avx512"):
        file = tmp_path / f"{isa}.npz"
        done = run_python("-c", SCRIPT, os.path.dirname(__file__), file, CBPTT_ISA=isa)
        if done.returncode != 0:
            assert isa != "base", done.stderr
            assert "was not compiled in or does not run on this processor" in done.stderr
            continue
        with np.load(file) as arrays:
            found[isa] = dict(arrays)
        assert found[isa].pop("isa") == isa
    for arrays in found.values():
        for name, array in arrays.items():
            base = found["base"][name]
            scale = max(np.abs(base).max(), 1e-3)
            assert np.abs(array - base).max() <= CLOSE[name.split()[1]] * scale, name


@READOUTS
def test_prediction_is_the_forward_pass_of_each_sequence(readout):
    net = make_net(3, 20, 4, readout)
    lengths = np.random.default_rng(1).integers(1, 30, size=300)
    X, _ = make_data(3, 4, lengths, readout)
    expected = [net.forward([x]).output[0] for x in X]
    sequences = check_sequences(X, dtype=net.dtype, caller="RNN")
    actual = net.engine.predict(sequences, n_threads=2).outputs
    assert_allclose(
        actual, np.concatenate(expected) if readout == "every" else expected, atol=1e-14
    )


# ---- the mode of the processor -----------------------------------------------------------------


@DTYPES
def test_denormals_are_flushed_within_and_kept_without(dtype):
    tiny = np.finfo(dtype).tiny
    net = make_net(1, 1, 1, dtype=dtype, activation="identity")
    net.theta = [1, 0, 1, 0, 0]
    small, smaller = np.array([[tiny * 2]], dtype), np.array([[tiny / 2]], dtype)
    assert net.forward([small]).output[0][0, 0] == tiny * 2
    assert net.forward([smaller]).output[0][0, 0] == 0
    assert smaller[0, 0] * np.ones(1, dtype)[0] == smaller[0, 0] > 0
    assert np.multiply(smaller, np.ones_like(smaller))[0, 0] > 0


@DTYPES
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_reaches_the_loss_and_the_gradient(dtype, value):
    net = make_net(2, 20, 1, dtype=dtype)
    net.parameters["weight_ho"][0, 3] = value
    result = net.engine.gradient(net.shard(*make_data(2, 1, [4, 3], "every")))
    assert not np.isfinite(result.loss_sum)
    assert not np.isfinite(result.gradient).all()
