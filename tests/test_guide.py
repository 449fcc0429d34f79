"""The guide in docs/ does what it shows, and its tables say what is so."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, SequentialFeatureSelector
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    StratifiedKFold,
    TimeSeriesSplit,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    train_test_split,
    validation_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.fixes import parse_version
from test_docs import run_blocks

import cbptt
from cbptt import (
    PerTimestep,
    Ragged,
    RNNClassifier,
    RNNForecaster,
    RNNRegressor,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    make_sequence_scorer,
)

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
VERSION = parse_version(sklearn.__version__)
TABLES_ARE_OF = parse_version("1.9")
of_1_9 = pytest.mark.skipif(TABLES_ARE_OF > VERSION, reason="the tables are of scikit-learn 1.9")


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        yield


def for_this_scikit_learn(text: str) -> str:
    """Leave out the blocks that say of which scikit-learn they are, if it is a later one."""

    def choose(block: re.Match[str]) -> str:
        return "" if parse_version(block.group(1)) > VERSION else block.group(0)

    pattern = r"^```python scikit-learn>=(\S+)\n.*?^```"
    return re.sub(pattern, choose, text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run_from_top_to_bottom(page: Path) -> None:
    run_blocks(for_this_scikit_learn(page.read_text(encoding="utf-8")), page.name)


def test_blocks_for_a_later_scikit_learn_are_left_out() -> None:
    text = "```python scikit-learn>={}\n1 / 0\n```\ntext\n"
    assert for_this_scikit_learn(text.format("99.0")) == "\ntext\n"
    assert for_this_scikit_learn(text.format("0.1")) == text.format("0.1")


def rows_of(page: str, table: str) -> list[list[str]]:
    """The rows of the table between two comments with its name, without its head."""
    text = (DOCS / page).read_text(encoding="utf-8")
    lines = text.partition(f"<!-- {table} -->")[2].partition(f"<!-- /{table} -->")[0].split("\n")
    rows = [line for line in lines if line.startswith("|")][2:]
    assert rows
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


# ---- scikit-learn's tools -----------------------------------------------------------------------

RNG = np.random.default_rng(0)
N = 24
SIDE = np.tile([-1.0, 1.0], N // 2)
Y = np.where(SIDE > 0, "high", "low")
THREE = np.arange(N) % 3
NUMBERS = SIDE + RNG.normal(size=N)
SEQUENCES = [
    RNG.normal(size=(length, 2)) + side
    for length, side in zip(RNG.integers(3, 9, N), SIDE, strict=True)
]
CUBE = np.stack([RNG.normal(size=(5, 2)) + side for side in SIDE])
FORMS = {
    "list": SEQUENCES,
    "Ragged": Ragged.from_sequences(SEQUENCES),
    "3-D": CUBE,
    "2-D": CUBE[:, :, 0],
}


def small(kind: Any = RNNClassifier, **parameters: Any) -> Any:
    return kind(3, learning_rate_init=0.03, max_iter=2, random_state=0, **parameters)


def pair(kind: Any = RNNClassifier) -> list[tuple[str, Any]]:
    return [("a", small(kind)), ("b", small(kind))]


def fit(model: Any, y: Any = Y) -> Callable[[Any], Any]:
    """How to try a model on X: fit, and then predict, or transform."""

    def attempt(X: Any) -> Any:
        fitted = model.fit(X, y)
        return fitted.predict(X) if hasattr(fitted, "predict") else fitted.transform(X)

    return attempt


def split(*splitters: Any) -> Callable[[Any], Any]:
    def attempt(X: Any) -> None:
        for splitter in splitters:
            groups = np.arange(N) // 3 if isinstance(splitter, GroupKFold) else None
            cross_val_score(small(), X, Y, cv=splitter, groups=groups, error_score="raise")

    return attempt


GRID = {"hidden_layer_sizes": [2, 3]}
SCALE_FIRST = ColumnTransformer([("scaled", StandardScaler(), [0])], remainder="passthrough")
TOOLS: dict[str, Callable[[Any], Any]] = {
    "`train_test_split`": lambda X: [
        small().fit(train, y_train).score(test, y_test)
        for train, test, y_train, y_test in [train_test_split(X, Y, stratify=Y, random_state=0)]
    ],
    "`KFold`, `StratifiedKFold`, `GroupKFold`": split(KFold(2), StratifiedKFold(2), GroupKFold(2)),
    "`TimeSeriesSplit`": split(TimeSeriesSplit(2)),
    "`cross_val_score`, `cross_validate`": lambda X: [
        cross_val_score(small(), X, Y, cv=2, error_score="raise"),
        cross_validate(small(), X, Y, cv=2, error_score="raise"),
    ],
    "`cross_val_predict`": lambda X: [
        cross_val_predict(small(), X, Y, cv=2, method=method)
        for method in ("predict", "predict_proba")
    ],
    "`GridSearchCV`": fit(GridSearchCV(small(), GRID, cv=2, error_score="raise")),
    "`RandomizedSearchCV`": fit(
        RandomizedSearchCV(small(), GRID, n_iter=2, cv=2, error_score="raise")
    ),
    "`HalvingGridSearchCV`": fit(
        HalvingGridSearchCV(small(), GRID, cv=2, min_resources=12, error_score="raise")
    ),
    "`learning_curve`": lambda X: learning_curve(
        small(), X, Y, cv=2, train_sizes=[0.5, 1.0], error_score="raise"
    ),
    "`validation_curve`": lambda X: validation_curve(
        small(), X, Y, param_name="alpha", param_range=[0, 1], cv=2, error_score="raise"
    ),
    "`permutation_importance`": lambda X: permutation_importance(
        small().fit(X, Y), X, Y, n_repeats=2
    ),
    "`Pipeline`": fit(make_pipeline(FunctionTransformer(), small())),
    "`StandardScaler`": fit(make_pipeline(StandardScaler(), small())),
    "`PerTimestep(StandardScaler())`": fit(make_pipeline(PerTimestep(StandardScaler()), small())),
    "`ColumnTransformer`": fit(make_pipeline(SCALE_FIRST, small())),
    "`FeatureUnion`": fit(
        make_pipeline(make_union(small(), small(pooling="mean")), LogisticRegression())
    ),
    "`TransformedTargetRegressor`": fit(
        TransformedTargetRegressor(small(RNNRegressor), transformer=StandardScaler()), NUMBERS
    ),
    "`VotingClassifier`": fit(VotingClassifier(pair(), voting="soft")),
    "`StackingClassifier`": fit(StackingClassifier(pair(), cv=2)),
    "`StackingClassifier(passthrough=True)`": fit(
        StackingClassifier(pair(), cv=2, passthrough=True)
    ),
    "`CalibratedClassifierCV`": fit(CalibratedClassifierCV(small(), cv=2)),
    "`FixedThresholdClassifier`, `TunedThresholdClassifierCV`": lambda X: [
        fit(FixedThresholdClassifier(small(), threshold=0.4, pos_label="high"))(X),
        fit(TunedThresholdClassifierCV(small(), cv=2))(X),
    ],
    "`OneVsRestClassifier`": fit(OneVsRestClassifier(small()), THREE),
    "`OneVsOneClassifier`": fit(OneVsOneClassifier(small()), THREE),
    "`MultiOutputClassifier`": fit(MultiOutputClassifier(small()), np.column_stack([Y, THREE])),
    "`ClassifierChain`": fit(
        ClassifierChain(small()), np.column_stack([SIDE > 0, THREE > 0]).astype(int)
    ),
    "`BaggingClassifier`": fit(BaggingClassifier(small(), n_estimators=2)),
    "`AdaBoostClassifier`": fit(AdaBoostClassifier(small(), n_estimators=2, random_state=0)),
    "`SequentialFeatureSelector`": fit(
        SequentialFeatureSelector(small(), n_features_to_select=1, cv=2)
    ),
    "`RFE`": fit(RFE(small())),
}


def works(attempt: Callable[[], Any]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            attempt()
        except (ValueError, TypeError, IndexError, NotImplementedError):
            return "no"
    return "yes"


def test_every_tool_of_the_tables_is_tried() -> None:
    assert [row[0] for row in rows_of("sequences.md", "tools")] == list(TOOLS)
    assert [row[0] for row in rows_of("sequences.md", "tools of steps")] == list(TOOLS_OF_STEPS)


@of_1_9
@pytest.mark.parametrize("row", rows_of("sequences.md", "tools"), ids=lambda row: row[0])
def test_a_tool_takes_the_forms_that_the_table_says(row: list[str]) -> None:
    tool, *cells = row
    found = [works(lambda X=X: TOOLS[tool](X)) for X in FORMS.values()]
    assert found == cells[: len(FORMS)]
    assert "no" not in found or cells[-1], "say what to do instead"


def steps_scored(X: Any, y: Any, scoring: Any) -> Any:
    model = small(RNNSequenceClassifier)
    return cross_val_score(model, X, y, cv=2, scoring=scoring, error_score="raise")


def classified(model: Any) -> Callable[[Any, Any], Any]:
    return lambda X, y: model.fit(X, y).predict(X)


TOOLS_OF_STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "`train_test_split`, without stratify": lambda X, y: train_test_split(X, y, random_state=0),
    "`cross_val_score`, `GridSearchCV`, without scoring": lambda X, y: [
        steps_scored(X, y, None),
        GridSearchCV(small(RNNSequenceClassifier), GRID, cv=2, error_score="raise").fit(X, y),
    ],
    "the same with `make_sequence_scorer`": lambda X, y: steps_scored(
        X, y, make_sequence_scorer(accuracy_score)
    ),
    'the same with `scoring="accuracy"`': lambda X, y: steps_scored(X, y, "accuracy"),
    "`cross_val_predict`": lambda X, y: cross_val_predict(small(RNNSequenceClassifier), X, y, cv=2),
    '`cross_val_predict(method="predict_proba")`': lambda X, y: cross_val_predict(
        small(RNNSequenceClassifier), X, y, cv=2, method="predict_proba"
    ),
    "`StratifiedKFold`": lambda X, y: list(StratifiedKFold(2).split(X, y)),
    "`TransformedTargetRegressor`": lambda X, y: TransformedTargetRegressor(
        small(RNNSequenceRegressor), transformer=StandardScaler()
    ).fit(X, y),
    "`VotingClassifier`, `StackingClassifier`": lambda X, y: [
        classified(VotingClassifier(pair(RNNSequenceClassifier)))(X, y),
        classified(StackingClassifier(pair(RNNSequenceClassifier), cv=2))(X, y),
    ],
    "`CalibratedClassifierCV`": classified(
        CalibratedClassifierCV(small(RNNSequenceClassifier), cv=2)
    ),
}


@of_1_9
@pytest.mark.parametrize("row", rows_of("sequences.md", "tools of steps"), ids=lambda row: row[0])
def test_a_tool_takes_the_targets_of_steps_that_the_table_says(row: list[str]) -> None:
    tool, *cells = row
    forms = (
        (SEQUENCES, [(x[:, 0] > 0).astype(int) for x in SEQUENCES]),
        (CUBE, 1 * (CUBE[:, :, 0] > 0)),
    )
    found = [works(lambda X=X, y=y: TOOLS_OF_STEPS[tool](X, y)) for X, y in forms]
    assert found == [{"other": "yes"}.get(cell, cell) for cell in cells[:2]]


# ---- cells, layers, directions ------------------------------------------------------------------

ARCHITECTURES: dict[str, dict[str, Any]] = {
    '"rnn"': {},
    '"gru"': {"cell": "gru"},
    '"lstm"': {"cell": "lstm"},
    "several layers": {"hidden_layer_sizes": (3, 2)},
    "both directions": {"bidirectional": True},
}
STEPS = [(x[:, 0] > 0).astype(int) for x in SEQUENCES]
SYMBOLS = [np.eye(2)[labels] for labels in STEPS]
SUMS = [x[:, 0].cumsum() for x in SEQUENCES]


def trained(
    kind: Any = RNNSequenceRegressor, X: Any = SEQUENCES, y: Any = SUMS, **given: Any
) -> Any:
    return kind(**{"hidden_layer_sizes": 3, "max_iter": 1, "random_state": 0, **given}).fit(X, y)


def with_features(model: Any) -> None:
    assert model.transform(SEQUENCES).shape[1] == len(model.get_feature_names_out())
    model.transform(SEQUENCES, states="all")


FEATURES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "`fit`, `predict`, `score`": lambda a: trained(**a).score(SEQUENCES, SUMS),
    "`partial_fit`, `warm_start`": lambda a: [
        trained(warm_start=True, **a).fit(SEQUENCES, SUMS),
        trained(**a).partial_fit(SEQUENCES, SUMS),
    ],
    "`pooling`": lambda a: [
        trained(RNNClassifier, y=Y, pooling=pooling, **a) for pooling in ("last", "mean", "max")
    ],
    '`missing="mask"`': lambda a: trained(missing="mask", **a),
    "`dropout`, `recurrent_dropout`": lambda a: trained(dropout=0.2, recurrent_dropout=0.2, **a),
    "`learn_initial_state`": lambda a: trained(learn_initial_state=True, **a),
    '`solver="lbfgs"`': lambda a: trained(solver="lbfgs", **a),
    "`checkpoint`": lambda a: trained(checkpoint="auto", **a),
    "`n_jobs`": lambda a: trained(n_jobs=2, **a),
    "`transform`": lambda a: with_features(trained(RNNClassifier, y=Y, **a)),
    "`network_.check_gradients`": lambda a: trained(**a).network_.check_gradients(SEQUENCES, SUMS),
    "`start`, `step`": lambda a: [m.step(SEQUENCES[0][:1], m.start(1)) for m in [trained(**a)]],
    "`step_many`": lambda a: [m.step_many(SEQUENCES, m.start(N)) for m in [trained(**a)]],
    '`predict_proba(at="every")`': lambda a: trained(RNNClassifier, y=Y, **a).predict_proba(
        SEQUENCES, at="every"
    ),
    "`sample`": lambda a: trained(RNNSequenceClassifier, X=SYMBOLS, y=STEPS, **a).sample(3, [0]),
    "`RNNForecaster`": lambda a: trained(RNNForecaster, X=SUMS, y=None, early_stopping=False, **a),
    "`bptt_steps`, `bptt_streams`": lambda a: trained(bptt_steps=2, bptt_streams=True, **a),
    '`activation="relu"`': lambda a: trained(activation="relu", **a),
    '`init="identity"`': lambda a: trained(init="identity", **a),
    "`network_.derivatives`": lambda a: trained(**a).network_.derivatives(SEQUENCES, SUMS),
}


def test_every_feature_of_the_table_is_tried() -> None:
    assert [row[0] for row in rows_of("choosing.md", "features")] == list(FEATURES)


@pytest.mark.parametrize("row", rows_of("choosing.md", "features"), ids=lambda row: row[0])
def test_a_feature_works_with_the_cells_that_the_table_says(row: list[str]) -> None:
    feature, *cells = row
    found = [works(lambda a=a: FEATURES[feature](a)) for a in ARCHITECTURES.values()]
    assert found == cells


# ---- against MLPClassifier ----------------------------------------------------------------------


def names_told(table: str) -> set[str]:
    """The names in backquotes in the first column."""
    return {
        name for row in rows_of("parameters.md", table) for name in re.findall(r"`(\w+)`", row[0])
    }


def fitted_attributes(estimator: Any) -> set[str]:
    names = {*vars(estimator), *dir(type(estimator))}
    return {name for name in names if name.endswith("_") and not name.startswith("_")}


def methods(kind: Any) -> set[str]:
    return {
        name
        for name in dir(kind)
        if not name.startswith("_") and callable(getattr(kind, name, None))
    }


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_nothing_of_mlpclassifier_is_left_out() -> None:
    table = RNG.normal(size=(20, 2))
    mlp = MLPClassifier(2, max_iter=2, early_stopping=True).fit(table, np.arange(20) % 2)
    told = names_told("MLPClassifier")
    assert set(mlp.get_params()) <= told
    assert fitted_attributes(mlp) | {"feature_names_in_"} <= told
    assert methods(MLPClassifier) <= told


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("kind", "y"),
    [
        (RNNClassifier, Y),
        (RNNRegressor, NUMBERS),
        (RNNSequenceClassifier, Y),
        (RNNSequenceRegressor, NUMBERS),
    ],
    ids=lambda kind: getattr(kind, "__name__", ""),
)
def test_nothing_of_ours_is_left_out(kind: Any, y: Any) -> None:
    told = names_told("MLPClassifier") | names_told("new")
    fitted = small(kind).fit(SEQUENCES, y)
    assert set(signature(kind).parameters) <= told
    assert fitted_attributes(fitted) <= told
    assert methods(kind) <= told


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_table_tells_nothing_that_is_nowhere() -> None:
    kinds = [
        MLPClassifier,
        *(
            getattr(cbptt, name)
            for name in cbptt.__all__
            if name.startswith("RNN") and name not in ("RNN", "RNNForecaster")
        ),
    ]
    fitted = [
        small(kind).fit(SEQUENCES, Y if is_classifier(kind()) else NUMBERS) for kind in kinds[1:]
    ]
    there = {"feature_names_in_", "classes_", *fitted_attributes(fitted[0])}
    for kind in kinds:
        there |= set(signature(kind).parameters) | methods(kind)
    there |= {"partial_fit", "set_callbacks", "set_partial_fit_request"}
    assert names_told("MLPClassifier") | names_told("new") <= there


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_table_of_the_forecaster_tells_all_and_nothing_else() -> None:
    told = names_told("forecaster")
    fitted = small(RNNForecaster, early_stopping=False).fit(SEQUENCES)
    parameters = set(signature(RNNForecaster).parameters)
    assert parameters <= told | set(signature(RNNSequenceRegressor).parameters)
    assert fitted_attributes(fitted) | methods(RNNForecaster) <= told
    assert told <= parameters | fitted_attributes(fitted) | methods(RNNForecaster)
