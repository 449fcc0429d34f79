"""The elementwise kernels against the true values, in units of the last place (ULP)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from mpmath import mp
from numpy.testing import assert_allclose, assert_array_equal
from processes import run_python

from cbptt import _kernels, reference
from cbptt._kernels import evaluate, evaluate_derivative

# Largest errors allowed. A walk over every float32 that matters gave 2.828, 2.559 and 1.105; twelve
# million float64 of each kind gave 3.216, 2.523 and 1.088.
FLOAT32_BOUNDS = {"tanh": 2.85, "logistic": 2.6, "exp": 1.11}
FLOAT64_BOUNDS = {"tanh": 3.5, "logistic": 2.6, "exp": 1.15}

NAMES = pytest.mark.parametrize("name", ["tanh", "logistic", "relu", "identity", "exp"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def evaluated(x, name):
    """f(x) in a new array."""
    x = np.array(x)
    evaluate(x, name)
    return x


def ulps(actual, true, dtype):
    """Error in units of the last place that dtype has at the true value, subnormal or not."""
    return np.abs(actual - true) / np.spacing(np.abs(true).astype(dtype))


def precise_logistic(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


PRECISE = {"tanh": np.tanh, "logistic": precise_logistic, "exp": np.exp}


def float32_of_every_size():
    """Every 1999th bit pattern that is a finite number, and the worst places known."""
    some = np.arange(0, 2**32, 1999, dtype=np.uint32).view(np.float32)
    worst = [0.17339301, 0.5383553, -1.9497746, -27.379202, 5.199643]
    return np.concatenate([some[np.isfinite(some)], np.array(worst, np.float32)])


def float64_of_every_size():
    """Sizes from subnormal to huge, dense where the functions bend and saturate; worst places."""
    rng = np.random.default_rng(0)
    mantissa, n = rng.uniform(1, 2, 300), 300
    sizes = [
        np.ldexp(mantissa, rng.integers(-1074, -12, n)),
        np.ldexp(mantissa, rng.integers(-12, 10, n)),
        rng.uniform(0, 3, n),
        rng.uniform(0, 40, n),
        rng.uniform(700, 750, n),
        [5e-324, 2.2e-308, 0.5, 1.0, 18.9, 19.1, 36.7, 37.5, 709.7, 709.79, 744.4, 745.1, 745.2],
        [1e300, np.finfo(float).max],
        [0.17855403944801573, 1.9538455522416727, 0.3602818600060167, 12.806338577662949],
    ]
    x = np.concatenate(sizes)
    return np.concatenate([x, -x])


def ulps_by_mpmath(actual, x, name, dtype):
    """Error in units of the last place, by mpmath; infinite where actual is wrongly so."""
    f = {"tanh": mp.tanh, "exp": mp.exp, "logistic": lambda a: 1 / (1 + mp.exp(-a))}[name]
    largest = float(np.finfo(dtype).max)
    errors = np.zeros(len(x))
    with mp.workprec(160):
        for i, (y, a) in enumerate(zip(actual.tolist(), x.tolist(), strict=True)):
            true = f(mp.mpf(a))
            if true > largest:
                errors[i] = 0 if y == np.inf else np.inf
            else:
                unit = np.spacing(np.abs(dtype(true)))
                errors[i] = abs(mp.mpf(y) - true) / mp.mpf(float(unit))
    return errors


# ---- how near the kernels come ---------------------------------------------------------------


@pytest.mark.parametrize(("name", "bound"), FLOAT32_BOUNDS.items())
def test_float32_of_every_size_is_within_the_ulp_bound(name, bound):
    x = float32_of_every_size()
    with np.errstate(over="ignore", under="ignore"):
        true = PRECISE[name](x.astype(np.float64))
    actual = evaluated(x, name)
    finite = true <= np.finfo(np.float32).max
    assert ulps(actual[finite], true[finite], np.float32).max() < bound
    assert_array_equal(actual[~finite], np.inf)


@pytest.mark.parametrize(("name", "bound"), FLOAT64_BOUNDS.items())
def test_float64_of_every_size_is_within_the_ulp_bound(name, bound):
    x = float64_of_every_size()
    assert ulps_by_mpmath(evaluated(x, name), x, name, np.float64).max() < bound


@DTYPES
@pytest.mark.parametrize("name", ["exp", "logistic"])
def test_subnormal_results_are_rounded_once(name, dtype):
    # far enough below the normal numbers, one rounding is all the error there is
    low, high = {np.float32: (-103.9, -92), np.float64: (-745.1, -714)}[dtype]
    x = np.linspace(low, high, 501).astype(dtype)
    assert 0.4 < ulps_by_mpmath(evaluated(x, name), x, name, dtype).max() < 0.6


# ---- special values --------------------------------------------------------------------------


@DTYPES
@NAMES
def test_nan_stays_nan(name, dtype):
    assert np.isnan(evaluated(np.full(9, np.nan, dtype), name)).all()


@DTYPES
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tanh", [-1, 1, -0.0, 0.0]),
        ("logistic", [0, 1, 0.5, 0.5]),
        ("exp", [0, np.inf, 1, 1]),
        ("relu", [0, np.inf, 0, 0]),
        ("identity", [-np.inf, np.inf, -0.0, 0.0]),
    ],
)
def test_infinities_and_zeros_have_their_limits(name, expected, dtype):
    x = np.array([-np.inf, np.inf, -0.0, 0.0], dtype)
    assert_array_equal(evaluated(x, name), np.array(expected, dtype), strict=True)


@DTYPES
@pytest.mark.parametrize("name", ["tanh", "identity"])
def test_odd_functions_keep_the_sign_of_zero(name, dtype):
    assert_array_equal(np.signbit(evaluated(np.array([-0.0, 0.0], dtype), name)), [True, False])


@DTYPES
def test_tanh_of_tiny_numbers_is_the_number(dtype):
    tiny = np.finfo(dtype).smallest_subnormal * np.array([1, 2, 3, 1000], dtype)
    x = np.concatenate([tiny, -tiny, [np.finfo(dtype).tiny, np.finfo(dtype).eps ** 2]])
    x = x.astype(dtype)
    assert_array_equal(evaluated(x, "tanh"), x)


@DTYPES
def test_tanh_saturates_at_one_and_never_passes_it(dtype):
    assert_array_equal(evaluated(np.array([20, -20, 1e30], dtype), "tanh"), [1, -1, 1])
    x = np.linspace(0, 25, 100_001).astype(dtype)
    h = evaluated(x, "tanh")
    assert h.max() == 1
    assert_array_equal(evaluated(-x, "tanh"), -h)


@DTYPES
def test_logistic_is_a_probability(dtype):
    x = np.linspace(-800, 800, 100_001).astype(dtype)
    h = evaluated(x, "logistic")
    assert h.min() == 0
    assert h.max() == 1


@DTYPES
def test_relu_cuts_at_zero_and_identity_changes_nothing(dtype):
    x = np.array([-2.5, -1e-30, 0, 1e-30, 3.5], dtype)
    assert_array_equal(evaluated(x, "relu"), np.array([0, 0, 0, 1e-30, 3.5], dtype))
    assert_array_equal(evaluated(x, "identity"), x)


# ---- loops and their tails --------------------------------------------------------------------


@DTYPES
@NAMES
def test_every_length_gives_what_single_entries_give_and_writes_no_further(name, dtype):
    x = np.random.default_rng(0).normal(scale=3, size=80).astype(dtype)
    single = np.array([evaluated(x[i : i + 1], name)[0] for i in range(80)])
    for n in range(71):
        buffer = x.copy()
        evaluate(buffer[:n], name)
        assert_array_equal(buffer, np.concatenate([single[:n], x[n:]]))


@DTYPES
@pytest.mark.parametrize("name", reference.ACTIVATIONS)
def test_every_length_of_derivatives_is_what_single_entries_give(name, dtype):
    rng = np.random.default_rng(0)
    h, d = evaluated(rng.normal(size=80).astype(dtype), name), rng.normal(size=80).astype(dtype)
    single = d.copy()
    for i in range(80):
        evaluate_derivative(single[i : i + 1], h[i : i + 1], name)
    for n in range(71):
        buffer = d.copy()
        evaluate_derivative(buffer[:n], h[:n], name)
        assert_array_equal(buffer, np.concatenate([single[:n], d[n:]]))


# ---- derivatives -----------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 2e-5), (np.float64, 5e-14)])
@pytest.mark.parametrize("name", reference.ACTIVATIONS)
def test_derivatives_are_those_of_the_complex_step(name, dtype, rtol):
    a = np.linspace(-2, 2, 82).astype(dtype)  # without 0, where relu has none
    f = reference.ACTIVATIONS[name].function
    slope = reference.complex_step(lambda z: f(z).sum(), a)
    d = np.random.default_rng(0).normal(size=82).astype(dtype)
    expected = d * slope
    evaluate_derivative(d, evaluated(a, name), name)
    assert_allclose(d, expected, rtol=rtol)


@DTYPES
def test_the_slope_of_tanh_keeps_its_digits_near_one(dtype):
    # 1 - h^2 rounds before it subtracts; (1 - h)(1 + h) does not
    h = np.nextafter(dtype(1), dtype(0))
    d = np.ones(1, dtype)
    evaluate_derivative(d, np.array([h]), "tanh")
    gap = float(np.finfo(dtype).epsneg)
    assert_allclose(d, gap * (2 - gap), rtol=2 * np.finfo(dtype).eps)


@DTYPES
def test_a_dead_relu_passes_no_derivative_even_of_infinity(dtype):
    d = np.array([np.inf, np.nan, 2, 2], dtype)
    evaluate_derivative(d, np.array([0, 0, 0, 1], dtype), "relu")
    assert_array_equal(d, [0, 0, 0, 2])


# ---- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["softmax", "swish"])
def test_functions_that_are_not_elementwise_are_refused(name):
    with pytest.raises(ValueError, match=f"'{name}' is not an elementwise function"):
        evaluate(np.ones(2), name)
    with pytest.raises(ValueError, match=f"'{name}' is not an elementwise function"):
        evaluate_derivative(np.ones(2), np.ones(2), name)


def test_a_derivative_needs_as_many_values_as_it_has_entries():
    with pytest.raises(ValueError, match="d has 3 entries, but h has 2"):
        evaluate_derivative(np.ones(3), np.ones(2), "tanh")


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
