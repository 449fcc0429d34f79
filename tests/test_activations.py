"""The elementwise functions of a network against the true values, in units of the last place."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from mpmath import mp
from numpy.testing import assert_allclose, assert_array_equal
from processes import run_python

import cbptt
from cbptt import _kernels, reference

# Largest errors allowed. A walk over every float32 that matters gave 2.828, 2.559 and 1.105; twelve
# million float64 of each kind gave 3.216, 2.523 and 1.088.
FLOAT32_BOUNDS = {"tanh": 2.85, "logistic": 2.6, "exp": 1.11}
FLOAT64_BOUNDS = {"tanh": 3.5, "logistic": 2.6, "exp": 1.15}

NAMES = pytest.mark.parametrize("name", sorted(reference.ACTIVATIONS))
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


# ---- one step of a network, which is one function ------------------------------------------------


def by_outputs(x, name):
    """f(x) by the output layer: W1 = 0, and b1 holds x, whatever it is."""
    net = cbptt.RNN(1, 1, len(x), output_activation=name, dtype=x.dtype)
    net.theta[:] = 0
    net.parameters["bias_o"][:] = x
    return net.forward([[0.0]]).output[0][0]


def by_states(x, name):
    """f(x) by the hidden layer: one unit, and a sequence of one step for each number."""
    net = cbptt.RNN(1, 1, 1, activation=name, dtype=x.dtype)
    net.theta[:] = 0
    net.parameters["weight_ih"][:] = 1
    return net.forward(x[:, np.newaxis, np.newaxis]).hidden[:, 0, 0]


def exp_by_softmax(x):
    """e^x, to the last bit where 1 + e^x is 1, by two classes of which the other has 0."""
    net = cbptt.RNN(1, 1, 2, output_activation="softmax", activation="identity", dtype=x.dtype)
    net.theta[:] = 0
    net.parameters["weight_ih"][:] = 1
    net.parameters["weight_ho"][1] = 1
    return net.forward(x[:, np.newaxis, np.newaxis]).output[:, 0, 1]


LAYERS = {"outputs": by_outputs, "states": by_states}
EVERY_LAYER = pytest.mark.parametrize("f", LAYERS.values(), ids=LAYERS)


def flushed(x):
    """Numbers too small to be normal are zeros for the length of a call."""
    return np.where(np.abs(x) < np.finfo(x.dtype).tiny, x.dtype.type(0), x)


def ulps(actual, true, dtype):
    """Error in units of the last place that dtype has at the true value."""
    return np.abs(actual - true) / np.spacing(np.abs(true).astype(dtype))


def precise_logistic(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


PRECISE = {"tanh": np.tanh, "logistic": precise_logistic, "exp": np.exp}


def float32_of_every_size():
    """Every 1999th bit pattern that is a normal number or 0, and the worst places known."""
    some = np.arange(0, 2**32, 1999, dtype=np.uint32).view(np.float32)
    worst = [0.17339301, 0.5383553, -1.9497746, -27.379202, 5.199643]
    return np.concatenate([flushed(some[np.isfinite(some)]), np.array(worst, np.float32)])


def float64_of_every_size():
    """Sizes from tiny to huge, dense where the functions bend and saturate; worst places."""
    rng = np.random.default_rng(0)
    mantissa, n = rng.uniform(1, 2, 300), 300
    sizes = [
        np.ldexp(mantissa, rng.integers(-1022, -12, n)),
        np.ldexp(mantissa, rng.integers(-12, 10, n)),
        rng.uniform(0, 3, n),
        rng.uniform(0, 40, n),
        rng.uniform(700, 750, n),
        [2.3e-308, 0.5, 1.0, 18.9, 19.1, 36.7, 37.5, 708.3, 708.4, 709.7, 745.2],
        [1e300, np.finfo(float).max],
        [0.17855403944801573, 1.9538455522416727, 0.3602818600060167, 12.806338577662949],
    ]
    x = np.concatenate(sizes)
    return np.concatenate([x, -x])


def ulps_by_mpmath(actual, x, name, dtype):
    """Error in units of the last place, by mpmath, of results that are not too small."""
    f = {"tanh": mp.tanh, "exp": mp.exp, "logistic": lambda a: 1 / (1 + mp.exp(-a))}[name]
    errors = np.zeros(len(x))
    with mp.workprec(160):
        for i, (y, a) in enumerate(zip(actual.tolist(), x.tolist(), strict=True)):
            true = f(mp.mpf(a))
            if 0 < abs(true) < float(np.finfo(dtype).tiny):
                errors[i] = 0 if abs(y) <= np.finfo(dtype).tiny else np.inf
            else:
                unit = np.spacing(np.abs(dtype(true)))
                errors[i] = abs(mp.mpf(y) - true) / mp.mpf(float(unit))
    return errors


# ---- how near the kernels come ---------------------------------------------------------------


def assert_within_bound_of_float32(actual, x, name):
    with np.errstate(under="ignore"):
        true = PRECISE[name](x.astype(np.float64))
    tiny = np.finfo(np.float32).tiny
    normal = np.abs(true) >= tiny
    assert ulps(actual[normal], true[normal], np.float32).max() < FLOAT32_BOUNDS[name]
    assert np.abs(actual[~normal]).max() <= tiny


@EVERY_LAYER
@pytest.mark.parametrize("name", ["tanh", "logistic"])
def test_float32_of_every_size_is_within_the_ulp_bound(name, f):
    x = float32_of_every_size()
    assert_within_bound_of_float32(f(x, name), x, name)


@EVERY_LAYER
@pytest.mark.parametrize("name", ["tanh", "logistic"])
def test_float64_of_every_size_is_within_the_ulp_bound(name, f):
    x = float64_of_every_size()
    assert ulps_by_mpmath(f(x, name), x, name, np.float64).max() < FLOAT64_BOUNDS[name]


def test_the_exponentials_of_softmax_are_within_the_ulp_bound():
    x = float32_of_every_size()
    x = np.concatenate([x[x < -18], -np.linspace(18, 90, 100_001, dtype=np.float32)])
    assert_within_bound_of_float32(exp_by_softmax(x), x, "exp")
    x = float64_of_every_size()
    x = np.concatenate([x[x < -38], -np.linspace(38, 708, 1001)])
    assert ulps_by_mpmath(exp_by_softmax(x), x, "exp", np.float64).max() < FLOAT64_BOUNDS["exp"]


@DTYPES
def test_probabilities_of_two_classes_are_those_of_logistic(dtype):
    # the sum, its inverse and the product are rounded once each, after the exponential
    x = np.linspace(-30, 0, 2001).astype(dtype)
    assert ulps_by_mpmath(exp_by_softmax(x), x, "logistic", dtype).max() < 3


# ---- special values --------------------------------------------------------------------------


@DTYPES
@NAMES
def test_nan_stays_nan(name, dtype):
    assert np.isnan(by_outputs(np.full(9, np.nan, dtype), name)).all()


@DTYPES
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tanh", [-1, 1, 0]),
        ("logistic", [0, 1, 0.5]),
        ("relu", [0, np.inf, 0]),
        ("identity", [-np.inf, np.inf, 0]),
    ],
)
def test_infinities_and_zero_have_their_limits(name, expected, dtype):
    x = np.array([-np.inf, np.inf, 0], dtype)
    assert_array_equal(by_outputs(x, name), np.array(expected, dtype), strict=True)


@DTYPES
@EVERY_LAYER
def test_tanh_of_tiny_numbers_is_the_number(f, dtype):
    tiny = np.finfo(dtype).tiny * np.array([1, 2, 3, 1000], dtype)
    x = np.concatenate([tiny, -tiny, [np.finfo(dtype).eps ** 2]]).astype(dtype)
    assert_array_equal(f(x, "tanh"), x)


@DTYPES
@EVERY_LAYER
def test_tanh_saturates_at_one_and_never_passes_it(f, dtype):
    assert_array_equal(f(np.array([20, -20, 1e30], dtype), "tanh"), [1, -1, 1])
    x = np.linspace(0, 25, 100_001).astype(dtype)
    h = f(x, "tanh")
    assert h.max() == 1
    assert_array_equal(f(-x, "tanh"), -h)


@DTYPES
@EVERY_LAYER
def test_logistic_is_a_probability(f, dtype):
    x = np.linspace(-800, 800, 100_001).astype(dtype)
    h = f(x, "logistic")
    assert h.min() == 0
    assert h.max() == 1


@DTYPES
@EVERY_LAYER
def test_relu_cuts_at_zero_and_identity_changes_nothing(f, dtype):
    x = np.array([-2.5, -1e-30, 0, 1e-30, 3.5], dtype)
    assert_array_equal(f(x, "relu"), np.array([0, 0, 0, 1e-30, 3.5], dtype))
    assert_array_equal(f(x, "identity"), x)


# ---- loops and their tails --------------------------------------------------------------------


@DTYPES
@EVERY_LAYER
@NAMES
def test_every_length_gives_what_single_entries_give(name, f, dtype):
    x = np.random.default_rng(0).normal(scale=3, size=70).astype(dtype)
    single = np.concatenate([f(x[i : i + 1], name) for i in range(70)])
    for n in range(1, 71):
        assert_array_equal(f(x[:n], name), single[:n])


# ---- derivatives -----------------------------------------------------------------------------


def slopes_of_outputs(a, targets, name):
    """h2, and (h2 - y) f'(a): with b1 = a the derivative by b1, of one step."""
    net = cbptt.RNN(1, 1, len(a), output_activation=name, dtype=a.dtype)
    net.theta[:] = 0
    net.parameters["bias_o"][:] = a
    _, gradients = net.loss_and_gradients([[0.0]], [targets[np.newaxis]], reduction="sum")
    return by_outputs(a, name), gradients["bias_o"]


def slopes_of_states(a, targets, name):
    """h1, and (h1 - y) f'(a): with W0 = W1 = 1 the derivative by x, of sequences of one step."""
    net = cbptt.RNN(1, 1, 1, activation=name, dtype=a.dtype)
    net.theta[:] = 0
    for matrix in ("weight_ih", "weight_ho"):
        net.parameters[matrix][:] = 1
    _, gradients = net.loss_and_gradients(
        a[:, np.newaxis, np.newaxis], targets[:, np.newaxis], reduction="sum", inputs=True
    )
    return by_states(a, name), gradients["X"][:, 0, 0]


SLOPES = pytest.mark.parametrize(
    "slopes", [slopes_of_outputs, slopes_of_states], ids=["outputs", "states"]
)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 2e-5), (np.float64, 5e-14)])
@SLOPES
@NAMES
def test_derivatives_are_those_of_the_complex_step(name, slopes, dtype, rtol):
    a = np.linspace(-2, 2, 82).astype(dtype)  # without 0, where relu has none
    f = reference.ACTIVATIONS[name].function
    targets = np.random.default_rng(0).choice([-5, 5], 82).astype(dtype)
    h, found = slopes(a, targets, name)
    expected = (h - targets) * reference.complex_step(lambda z: f(z).sum(), a)
    assert_allclose(found, expected, rtol=rtol)


@DTYPES
@SLOPES
@NAMES
def test_every_length_of_derivatives_is_what_single_entries_give(name, slopes, dtype):
    rng = np.random.default_rng(0)
    a, targets = rng.normal(size=(2, 40)).astype(dtype)
    single = np.concatenate([slopes(a[i : i + 1], targets[i : i + 1], name)[1] for i in range(40)])
    for n in range(1, 41):
        assert_array_equal(slopes(a[:n], targets[:n], name)[1], single[:n])


@DTYPES
@SLOPES
def test_the_slope_of_tanh_keeps_its_digits_near_one(slopes, dtype):
    # 1 - h^2 rounds before it subtracts; (1 - h)(1 + h) does not
    gap = np.finfo(dtype).epsneg
    a = np.linspace(8, 20, 20_001).astype(dtype)
    h, found = slopes(a, np.full(len(a), -gap), "tanh")  # so that h - y is 1 where h is 1 - gap
    near = h == 1 - gap
    assert near.any()
    assert_allclose(found[near], float(gap) * (2 - float(gap)), rtol=2 * np.finfo(dtype).eps)


@DTYPES
def test_a_dead_relu_passes_no_derivative_even_of_infinity(dtype):
    # dL/dh = dz W1 overflows, or is NaN
    large = dtype(np.finfo(dtype).max / 4)
    net = cbptt.RNN(1, 1, 1, activation="relu", dtype=dtype)
    for weight, bias in ((large, large), (1, np.nan)):
        net.theta[:] = 0
        net.parameters["weight_ih"][:] = 1
        net.parameters["weight_ho"][:] = weight
        net.parameters["bias_o"][:] = bias
        _, gradients = net.loss_and_gradients(
            [[[-1.0]], [[0.5]]], [[0], [0]], reduction="sum", inputs=True
        )
        dead, alive = gradients["X"]
        assert dead[0, 0] == 0
        assert not np.isfinite(alive[0, 0])


# ---- instruction sets ------------------------------------------------------------------------

NEEDS = {"base": set(), "avx2": {"avx2", "fma"}, "avx512": {"avx512f", "avx512dq"}}


def processor_flags():
    """What Linux says that an x86 processor can do; nothing elsewhere, where "base" is enough."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return {flag for line in lines if line.startswith("flags") for flag in line.split()}


FLAGS = processor_flags()
RUNNING = [name for name, needs in NEEDS.items() if needs <= FLAGS]
NARROWER = RUNNING[:-1] or RUNNING
LACKING = [name for name in NEEDS if FLAGS and name not in RUNNING]


@pytest.mark.parametrize("isa", NARROWER)
def test_the_other_instruction_sets_keep_the_claims_about_functions_and_products(isa):
    products = Path(__file__).with_name("test_network.py")
    claims = (__file__, f"{products}::test_networks_of_every_size_are_those_of_the_reference")
    options = ("-q", "-x", "-p", "no:cacheprovider", "-k", "not instruction_set and not blas")
    result = run_python("-m", "pytest", *options, *claims, CBPTT_ISA=isa)
    assert result.returncode == 0, result.stdout
    assert "passed" in result.stdout


@pytest.mark.parametrize("isa", RUNNING)
def test_an_instruction_set_can_be_chosen(isa):
    code = "from cbptt import _kernels; print(_kernels.instruction_set())"
    assert run_python("-c", code, CBPTT_ISA=isa).stdout.split()[-1] == isa


@pytest.mark.parametrize("isa", [*LACKING, "mmx"])
def test_an_instruction_set_that_does_not_run_here_is_an_import_error(isa):
    result = run_python("-c", "import cbptt._kernels", CBPTT_ISA=isa)
    assert result.returncode == 1
    assert f"ImportError: CBPTT_ISA='{isa}' was not compiled in or does not run" in result.stderr


def test_the_widest_instruction_set_is_taken_unless_one_is_chosen():
    expected = os.environ.get("CBPTT_ISA") or RUNNING[-1]
    assert _kernels.instruction_set() == expected
