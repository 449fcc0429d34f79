"""Generation: what is sampled is what steps of the model tell, symbol by symbol."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

import cbptt
from cbptt import Ragged, RNNClassifier, RNNSequenceClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DTYPES = ("float32", "float64")
SYMBOLS = {
    "texts": np.array(["a", "bc", "d", "e"]),
    "ints": np.array([-3, 0, 7, 8]),
    "two": np.array(["no", "yes"]),
    "bools": np.array([False, True]),
    "floats": np.array([-1.0, 0.0, 2.0]),
}


def language(symbols, n=60, seed=0):
    """Symbols drawn at random, so that a network trained on them is sure of nothing."""
    drawn = np.random.default_rng(seed).integers(len(symbols), size=n)
    drawn[: len(symbols)] = np.arange(len(symbols))
    return drawn


def fitted(symbols, codes=None, text=None, dtype="float64", **options):
    """A model of what comes next; the weights are made larger, so that it is surer of itself."""
    codes = np.eye(len(symbols)) if codes is None else codes
    text = language(symbols) if text is None else text
    options = {"max_iter": 2, "random_state": 0, "dtype": dtype} | options
    model = RNNSequenceClassifier(6, **options).fit([codes[text[:-1]]], [symbols[text[1:]]])
    if options["max_iter"] == 2:
        model.network_.theta *= 3
    return model


@pytest.fixture(scope="module")
def speaker():
    """Has learned "abcabc..." by heart."""
    text = np.arange(60) % 3
    return fitted(np.array(list("abc")), text=text, max_iter=200, tol=1e-3, learning_rate_init=0.05)


# ---- what is drawn ------------------------------------------------------------------------------


def shares(p, temperature):
    """The probabilities of softmax(a2 / temperature), from those of softmax(a2)."""
    p = p.astype(np.float64) ** (1 / temperature)
    return p / p.sum(-1, keepdims=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", SYMBOLS)
@pytest.mark.parametrize("temperature", [0.5, 1, 2.0])
@pytest.mark.parametrize("encoded", [False, True])
def test_a_sample_is_a_loop_over_step(dtype, kind, temperature, encoded):
    symbols, T = SYMBOLS[kind], 40
    K, rng = len(symbols), np.random.default_rng(1)
    codes = rng.normal(size=(K, 5), scale=0.3).astype(dtype) if encoded else np.eye(K, dtype=dtype)
    model = fitted(symbols, codes, dtype=dtype, learn_initial_state=encoded)
    if encoded:
        model.network_.parameters["initial_state"][:] = 0.5
    starts = [[0, 1, 1], [1], [1, 0, 0, 0, 1, 1]]
    drawn = model.sample(
        T,
        [symbols[s] for s in starts],
        temperature=temperature,
        random_state=3,
        encoding=codes if encoded else None,
    )
    assert drawn.shape == (3, T)
    assert drawn.dtype == symbols.dtype
    assert len(np.unique(drawn)) > 1

    seed = np.random.RandomState(3).randint(2**31)
    uniforms = np.random.default_rng(seed).random((3, T))
    near = 1e-12 if dtype == "float64" else 1e-5
    for start, told, u in zip(starts, drawn, uniforms, strict=True):
        told = np.searchsorted(symbols, told)
        state = model.start(1)
        for k in start[:-1]:
            _, state = model.step(codes[[k]], state)
        for before, k, u_t in zip([start[-1], *told[:-1]], told, u, strict=True):
            p, state = model.step(codes[[before]], state)
            reached = np.concatenate([[0], shares(p[0], temperature).cumsum()])
            assert reached[k] - near <= u_t <= reached[k + 1] + near


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", SYMBOLS)
def test_temperature_0_takes_the_most_probable_step_by_step(dtype, kind):
    symbols = SYMBOLS[kind]
    model = fitted(symbols, dtype=dtype)
    drawn = model.sample(30, symbols[[1, 0, 1]], temperature=0)
    assert drawn.shape == (30,)
    history = np.searchsorted(symbols, np.concatenate([symbols[[1, 0, 1]], drawn]))
    expected = model.predict([np.eye(len(symbols))[history[:-1]]])[0][2:]
    assert_array_equal(drawn, expected)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("K", [2, 3])
def test_a_markov_chain_is_drawn_with_its_own_frequencies(K, temperature):
    """The network is given the chain: a2 is the row of log P that belongs to the last symbol."""
    P = np.array([[0.7, 0.2, 0.1], [0.05, 0.15, 0.8], [0.4, 0.4, 0.2]])[:K, :K]
    P /= P.sum(1, keepdims=True)
    symbols = np.array(list("xyz"))[:K]
    model = fitted(symbols, activation="identity")
    weights = model.network_.parameters
    for name in weights:
        weights[name][:] = 0
    weights["weight_ih"][:K] = np.eye(K)
    weights["weight_ho"][:, :K] = np.log(P).T
    n, T = 20, 2000
    drawn = model.sample(T, [["x"]] * n, temperature=temperature, random_state=0)
    numbers = np.searchsorted(symbols, drawn)
    counts = np.zeros((K, K))
    np.add.at(counts, (numbers[:, :-1], numbers[:, 1:]), 1)
    expected = shares(P, temperature)
    visits = counts.sum(1, keepdims=True)
    deviation = np.sqrt(expected * (1 - expected) / visits)
    assert (np.abs(counts / visits - expected) < 4.5 * deviation).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_chain_that_was_learned_is_drawn_as_it_was(dtype):
    stays = 0.85
    rng = np.random.default_rng(0)
    text = np.cumsum(rng.random(8001) > stays) % 2
    model = fitted(
        np.array(["left", "right"]),
        text=text,
        dtype=dtype,
        max_iter=15,
        bptt_steps=20,
        bptt_streams=True,
        learning_rate_init=0.02,
    )
    drawn = model.sample(1000, [["left"], ["right"]] * 5, random_state=1)
    assert_allclose((drawn[:, 1:] == drawn[:, :-1]).mean(), stays, atol=0.03)


def test_a_language_learned_by_heart_is_continued(speaker):
    assert "".join(speaker.sample(9, ["a"], temperature=0)) == "bcabcabca"
    assert "".join(speaker.sample(4, list("abcab"), temperature=0)) == "cabc"
    rows = speaker.sample(5, [list("abc"), ["a"], list("ab")], temperature=0)
    assert ["".join(row) for row in rows] == ["abcab", "bcabc", "cabca"]


# ---- how it is asked ----------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_symbols_and_a_generator_goes_on():
    symbols = SYMBOLS["ints"]
    model = fitted(symbols)
    first, again, other = (model.sample(50, [0], random_state=seed) for seed in (5, 5, 6))
    assert_array_equal(first, again)
    assert (first != other).any()
    generator = np.random.RandomState(5)
    assert_array_equal(model.sample(50, [0], random_state=generator), first)
    assert (model.sample(50, [0], random_state=generator) != first).any()
    np.random.seed(5)  # noqa: NPY002 - None is NumPy's global generator, as in scikit-learn
    assert_array_equal(model.sample(50, [0]), first)


def test_sampling_changes_nothing(speaker):
    theta, start = speaker.network_.theta.copy(), np.array(list("ab"))
    encoding = np.eye(3)
    start.flags.writeable = encoding.flags.writeable = False
    drawn = [speaker.sample(5, start, random_state=0, encoding=encoding).tolist() for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert_array_equal(speaker.network_.theta, theta)
    assert set(vars(speaker)) == set(vars(fitted(SYMBOLS["two"])))


def test_one_sequence_is_the_first_of_one():
    model = fitted(SYMBOLS["texts"])
    one = model.sample(20, ["a", "bc"], random_state=0)
    several = model.sample(20, [["a", "bc"]], random_state=0)
    assert one.shape == (20,)
    assert several.shape == (1, 20)
    assert_array_equal(one, several[0])


def test_every_form_of_start_is_the_same():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    model, labels = fitted(SYMBOLS["texts"]), ["a", "bc", "a"]
    expected = model.sample(9, labels, random_state=0)
    for form in (
        tuple(labels),
        np.array(labels),
        np.array(labels, dtype=object),
        pd.Series(labels, index=[5, 6, 7]),
        pl.Series(labels),
    ):
        assert_array_equal(model.sample(9, form, random_state=0), expected)
    lists = [labels, labels[:2]]
    boxed = np.empty(2, dtype=object)
    boxed[:] = lists
    expected = model.sample(9, lists, random_state=0)
    for form in (tuple(lists), boxed, Ragged.from_sequences(lists)):
        assert_array_equal(model.sample(9, form, random_state=0), expected)
    both = model.sample(9, [labels, labels], random_state=0)
    for form in (np.array([labels] * 2), np.array([labels] * 2)[:, :, None]):
        assert_array_equal(model.sample(9, form, random_state=0), both)


def test_one_hot_is_the_identity_and_any_order_of_inputs_will_do():
    symbols, text = SYMBOLS["texts"], language(SYMBOLS["texts"])
    order = np.eye(4)[[2, 0, 3, 1]]
    expected = fitted(symbols).sample(20, ["a"], random_state=0)
    assert_array_equal(
        fitted(symbols).sample(20, ["a"], random_state=0, encoding=np.eye(4)), expected
    )
    model = fitted(symbols, order, text)
    model.network_.parameters["weight_ih"][:] = fitted(symbols).coefs_[0].T @ order
    for name in ("weight_hh", "bias_h", "weight_ho", "bias_o"):
        model.network_.parameters[name][:] = fitted(symbols).network_.parameters[name]
    told = model.sample(20, ["a"], random_state=0, encoding=order)
    assert_array_equal(told, expected)


def test_symbols_that_are_numbers_may_be_their_own_inputs():
    values = np.array([0.0, 1.0, 2.0])
    text = np.arange(40) % 3
    X, y = values[text[None, :-1]], text[None, 1:]  # a table: one variable, 39 steps
    model = RNNSequenceClassifier(
        16, max_iter=500, tol=1e-3, learning_rate_init=0.05, random_state=0
    ).fit(X, y)
    assert model.n_features_in_ == 39
    for encoding in (values, values[:, None]):
        drawn = model.sample(6, [0, 1], temperature=0, encoding=encoding)
        assert drawn.tolist() == [2, 0, 1, 2, 0, 1]


def test_threads_do_not_change_what_is_drawn():
    starts = [language(SYMBOLS["ints"], 300, seed) for seed in range(40)]
    starts = [SYMBOLS["ints"][s] for s in starts]
    drawn = [
        fitted(SYMBOLS["ints"], n_jobs=n_jobs).sample(20, starts, random_state=0)
        for n_jobs in (1, 2)
    ]
    assert_array_equal(*drawn)


def test_a_model_of_one_class_says_it():
    model = fitted(np.array(["x"]), text=np.zeros(9, int))
    assert model.sample(3, ["x"], random_state=0).tolist() == ["x"] * 3


# ---- what is refused ----------------------------------------------------------------------------

OF_LABELS = "expected a list or 1-D array of at least one label"

REFUSED = [
    # what, arguments beside those that are right, the error, what it tells
    ("no step", {"n_steps": 0}, ValueError, "n_steps=0; expected an int from 1 up"),
    ("steps below 0", {"n_steps": -2}, ValueError, "n_steps=-2; expected an int from 1 up"),
    ("too many steps", {"n_steps": 2**63}, ValueError, "; expected an int from 1 up to 2147483647"),
    ("half a step", {"n_steps": 1.5}, ValueError, "n_steps=1.5; expected an int"),
    ("true steps", {"n_steps": True}, ValueError, "n_steps=True; expected an int"),
    ("no steps", {"n_steps": None}, ValueError, "n_steps=None; expected an int"),
    ("nothing", {"start": None}, TypeError, f"start of type NoneType; {OF_LABELS}"),
    ("a number", {"start": 3}, TypeError, f"start of type int; {OF_LABELS}"),
    ("a text", {"start": "ab"}, TypeError, "start='ab'; expected .* list(start) for its char"),
    ("a 0-D array", {"start": np.array("a")}, TypeError, f"start of type ndarray; {OF_LABELS}"),
    ("a set", {"start": {"a"}}, TypeError, f"start of type set; {OF_LABELS}"),
    ("an iterator", {"start": iter("ab")}, TypeError, f"start of type .*; {OF_LABELS}"),
    ("no label", {"start": []}, ValueError, f"start with 0 labels; {OF_LABELS}"),
    ("no sequence", {"start": np.empty((0, 2))}, ValueError, f"start with 0 labels; {OF_LABELS}"),
    ("none of two", {"start": [["a"], []]}, ValueError, f"start[1] of shape (0,); {OF_LABELS}"),
    ("no column", {"start": np.empty((2, 0))}, ValueError, f"start[0] of shape (0,); {OF_LABELS}"),
    (
        "unknown",
        {"start": ["a", "b", "x"]},
        ValueError,
        "start[2] = 'x', which is none of the 3 classes; .* classes_, which go from 'a' to 'c'",
    ),
    ("unknown in 1", {"start": [["a"], ["a", "z"]]}, ValueError, "start[1][1] = 'z', which is"),
    ("another kind", {"start": [0, 1]}, ValueError, "start[0] = 0, which is none of the 3"),
    ("before all", {"start": ["A"]}, ValueError, "start[0] = 'A', which is none of the 3"),
    ("kinds mixed", {"start": ["a", 1]}, ValueError, "start .* not of one kind"),
    ("one missing", {"start": ["a", None]}, ValueError, "start .* not of one kind"),
    ("a label among", {"start": [["a"], "b"]}, TypeError, f"start[1] of type str .*; {OF_LABELS}"),
    ("a list among", {"start": ["a", ["b"]]}, ValueError, f"start that is no array.*; {OF_LABELS}"),
    ("two each", {"start": np.full((1, 3, 2), "a")}, ValueError, "start[0] of shape (3, 2)"),
    ("masked", {"start": np.ma.array(["a"], mask=[1])}, TypeError, "start[0] as a masked array"),
    ("cold", {"temperature": -0.1}, ValueError, "temperature=-0.1; expected a finite number from"),
    ("NaN", {"temperature": np.nan}, ValueError, "temperature=nan; expected a finite number from"),
    ("hot", {"temperature": np.inf}, ValueError, "temperature=inf; expected a finite number from"),
    ("a word", {"temperature": "1"}, ValueError, "temperature='1'; expected a finite number"),
    ("none", {"temperature": None}, ValueError, "temperature=None; expected a finite number"),
    ("a seed", {"random_state": "x"}, ValueError, "random_state='x'; expected None, an int"),
    ("below", {"random_state": -1}, ValueError, "random_state=-1; expected None, an int from 0"),
    ("too few", {"encoding": np.eye(2)}, ValueError, "encoding of shape (2, 2); expected shape (3"),
    ("wide", {"encoding": np.ones((3, 4))}, ValueError, "encoding of shape (3, 4); expected shape"),
    ("flat", {"encoding": np.ones(3)}, ValueError, "encoding of shape (3,); expected shape (3, 3)"),
    ("deep", {"encoding": np.ones((3, 3, 1))}, ValueError, "encoding .*; expected shape (3, 3)"),
    ("text", {"encoding": np.full((3, 3), "a")}, ValueError, "encoding of dtype <U1"),
    (
        "NaN in it",
        {"encoding": np.where(np.eye(3) == [0, 1, 0], np.eye(3), np.nan)},
        ValueError,
        "encoding[0] with NaN or infinity",
    ),
    ("inf in it", {"encoding": np.diag([0, 0, np.inf])}, ValueError, "encoding[2] with NaN or inf"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "error", "told"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_does_not_fit_is_named(speaker, arguments, error, told):
    with pytest.raises(error) as caught:
        speaker.sample(**{"n_steps": 2, "start": ["a"]} | arguments)
    pattern = re.escape("RNNSequenceClassifier.sample got ") + ".*"
    pattern = "^" + pattern + re.escape(told).replace(re.escape(".*"), ".*")
    assert re.search(pattern, str(caught.value), re.DOTALL), str(caught.value)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("temperature", [0, 1])
def test_states_that_leave_the_range_of_numbers_are_an_error(dtype, temperature):
    model = fitted(SYMBOLS["ints"], dtype=dtype, activation="relu")
    parameters = model.network_.parameters
    parameters["bias_h"][:] = 1
    parameters["weight_ih"][:] = 0
    parameters["weight_hh"][:] = 2 * np.eye(len(parameters["weight_hh"]))
    # h_t = 2^(t + 1) - 1 in each unit: 2^max_exponent is the first one out of range, and a2 = h_t
    parameters["weight_ho"][:] = np.eye(*parameters["weight_ho"].shape)
    parameters["bias_o"][:] = 0
    step = np.finfo(dtype).maxexp - 1
    assert model.sample(step, [[8], [-3]], temperature=temperature).shape == (2, step)
    told = re.escape(
        f"RNNSequenceClassifier.sample got out of the range of {dtype} at step {step} of sequence 0"
    )
    with pytest.raises(FloatingPointError, match=f"^{told}.*activation='tanh', .*not 'relu'"):
        model.sample(step + 50, [[8], [-3]], temperature=temperature)


def test_too_large_an_encoding_for_float32_is_refused():
    model = fitted(SYMBOLS["two"], dtype="float32")
    with pytest.raises(ValueError, match=r"encoding\[1\] .* too large for float32"):
        model.sample(2, ["no"], encoding=np.diag([1, 1e300]))


def test_inputs_that_are_not_one_for_each_class_need_an_encoding():
    model = fitted(SYMBOLS["ints"], np.ones((4, 5)))
    with pytest.raises(ValueError, match=r"for 4 classes and 5 inputs .* pass encoding, the \(4, "):
        model.sample(2, [0])
    table = RNNSequenceClassifier(3, max_iter=1).fit(np.ones((2, 3)), [[0, 1, 2]] * 2)
    assert table.n_features_in_ == 3
    with pytest.raises(ValueError, match="for 3 classes and 1 inputs"):
        table.sample(2, [0])


def test_only_a_class_for_each_step_can_be_its_next_input():
    X = np.random.default_rng(0).normal(size=(6, 4, 2))
    labels = (X[:, :, 0] > 0).astype(int)
    model = RNNSequenceClassifier(3, max_iter=1)
    with pytest.raises(NotFittedError):
        model.sample(2, [0])
    with pytest.raises(ValueError, match="fitted on several labels at once"):
        model.fit(X, X > 0).sample(2, [0])
    with pytest.raises(ValueError, match="fitted on one label for each sequence"):
        model.fit(X, labels[:, 0]).sample(2, [0])
    with pytest.raises(ValueError, match="fitted with missing='mask'"):
        model.set_params(missing="mask").fit(X, labels).sample(2, [0])
    assert model.set_params(missing="error").fit(X, labels).sample(2, [0]).shape == (2,)


def test_only_classifiers_of_steps_sample():
    for name in cbptt.__all__:
        if name.startswith("RNN") and name != "RNNSequenceClassifier":
            assert not hasattr(getattr(cbptt, name), "sample")
    assert not hasattr(RNNClassifier, "sample")


def test_a_label_that_marks_steps_without_one_is_no_symbol():
    text = language(SYMBOLS["ints"])
    codes, y = np.eye(4)[text[:-1]], SYMBOLS["ints"][text[1:]]
    y[-3:] = -1
    model = RNNSequenceClassifier(3, max_iter=1, missing_label=-1).fit([codes], [y])
    assert -1 not in model.sample(50, [0], random_state=0)
    with pytest.raises(ValueError, match=r"start\[1\] = -1, which is none of the 4 classes"):
        model.sample(2, [0, -1])
