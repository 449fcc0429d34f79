"""Long tables: rows find their sequence and their place in it, and come back."""

from __future__ import annotations

import datetime
import pickle
import re
from datetime import UTC
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from processes import output_of

from cbptt import Ragged, RNNClassifier, from_long, to_long

both_libraries = pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])


def visits(library, **columns):
    """Two patients, b before a, their days out of order."""
    return library.DataFrame(
        {
            "patient": ["b", "b", "a", "b", "a"],
            "day": [2, 1, 1, 5, 3],
            "pulse": [71.0, 70.0, 64.0, 75.0, 66.0],
            "weight": [81, 80, 60, 85, 61],
            "ill": [True, True, False, True, False],
            **columns,
        }
    )


def read(frame, **options):
    return from_long(frame, **({"id": "patient", "time": "day"} | options))


def assert_same_sequences(actual, expected):
    assert isinstance(actual, Ragged)
    assert len(actual) == len(expected)
    for ours, theirs in zip(actual, expected, strict=True):
        assert_array_equal(ours, theirs)


# ---- from_long ----------------------------------------------------------------------------------


@both_libraries
def test_rows_are_grouped_by_id_and_ordered_by_time(library):
    data = read(visits(library))
    assert_same_sequences(data.X, [[[70, 80], [71, 81], [75, 85]], [[64, 60], [66, 61]]])
    assert_same_sequences(data.times, [[1, 2, 5], [1, 3]])
    assert data.ids.keys() == {"patient"}
    assert data.ids["patient"].tolist() == ["b", "a"]
    assert data.feature_names == ("pulse", "weight")
    assert data.y is None


rows = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from("xy"), st.integers(0, 50)),
    min_size=1,
    max_size=20,
    unique=True,
)


@both_libraries
@given(rows=rows)
def test_any_order_of_rows_gives_what_a_loop_over_them_gives(library, rows):
    frame = library.DataFrame(
        {
            "number": [row[0] for row in rows],
            "letter": [row[1] for row in rows],
            "time": [row[2] for row in rows],
            "value": np.arange(float(len(rows))),
        }
    )
    expected: dict[tuple[int, str], list[tuple[int, float]]] = {}
    for value, (number, letter, time) in enumerate(rows):
        expected.setdefault((number, letter), []).append((time, float(value)))

    data = from_long(frame, id=["number", "letter"], time="time")
    ids = zip(data.ids["number"].tolist(), data.ids["letter"].tolist(), strict=True)
    assert list(ids) == list(expected)
    for x, times, steps in zip(data.X, data.times, expected.values(), strict=True):
        assert list(zip(times.tolist(), x[:, 0].tolist(), strict=True)) == sorted(steps)


@both_libraries
def test_without_a_time_the_rows_of_an_id_stay_in_their_order(library):
    data = from_long(visits(library), id="patient", features="pulse")
    assert_same_sequences(data.X, [[[71], [70], [75]], [[64], [66]]])
    assert data.times is None


@both_libraries
def test_features_come_in_the_order_in_which_they_are_named(library):
    data = read(visits(library), features=["ill", "pulse"])
    assert data.feature_names == ("ill", "pulse")
    assert_array_equal(data.X[1], [[0, 64], [0, 66]])


@both_libraries
def test_missing_features_are_nan(library):
    frame = visits(library, pulse=[71.0, None, 64.0, 75.0, 66.0], weight=[81, 80, None, 85, 61])
    data = read(frame)
    assert_same_sequences(data.X, [[[np.nan, 80], [71, 81], [75, 85]], [[64, np.nan], [66, 61]]])


@both_libraries
def test_float32_stays_what_it_is(library):
    columns = {"pulse": np.ones(5, np.float32), "weight": np.ones(5, np.float32)}
    assert read(visits(library, **columns)).X.dtype == np.float32


def test_numbers_that_numpy_does_not_have_become_floats():
    decimal = pl.Series([Decimal(n) / 2 for n in range(5)])
    assert_array_equal(
        read(visits(pl, pulse=decimal)).X.values[:, 0], [0.5, 0, 1.5, 1, 2], strict=True
    )
    nullable = pd.array([1, None, 3, 4, 5], dtype="Int64")
    assert_array_equal(read(visits(pd, pulse=nullable)).X[0][:, 0], [np.nan, 1, 4])
    flags = visits(pl, ill=[True, None, False, True, False])
    assert_array_equal(read(flags, features="ill").X[0][:, 0], [np.nan, 1, 1])


@both_libraries
@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([2.5, -1.0, 0.0, 9.0, 3.0], [-1.0, 2.5, 9.0]),
        (["b", "a", "a", "c", "b"], ["a", "b", "c"]),
        (
            [datetime.datetime(2024, month, 1) for month in (2, 1, 1, 5, 3)],
            np.array(["2024-01", "2024-02", "2024-05"], "M8[M]"),
        ),
        ([datetime.timedelta(hours=h) for h in (2, 1, 1, 5, 3)], np.array([1, 2, 5], "m8[h]")),
    ],
    ids=["floats", "text", "dates", "durations"],
)
def test_times_may_be_numbers_text_dates_or_durations(library, times, expected):
    data = read(visits(library, day=times), features="pulse")
    assert_array_equal(data.X[0], [[70], [71], [75]])
    assert_array_equal(data.times[0], expected)


def order_of(times, library=pd):
    """Return the places of one sequence's times in the order in which they are read."""
    frame = library.DataFrame({"id": [0] * len(times), "t": times, "x": np.arange(len(times))})
    return from_long(frame, id="id", time="t", features="x").X.values[:, 0].tolist()


@both_libraries
@pytest.mark.parametrize(
    "times",
    [
        ["10", "1", "2"],
        ["10", "01", "2"],
        ["0", "-10", "-2"],
        ["12:00", "8:30", "10:15"],
        ["8:30:10", "8:30:02.25", "8:30:02.5"],
        ["2024-02-04", "2024-01-28", "2024-01-28 10:00"],
        ["2024/02/04", "2023/12/31", "2024/01/05"],
        ["20240204", "20231231", "20240105"],
        ["2024-01-01T00:30Z", "2024-01-01T01:00+01:00", "2023-12-31T23:15-01:00"],
        ["2024-10", "2024-08", "2024-09"],
        ["200601", "200511", "200512"],
        ["2024-Q1", "2022-Q4", "2023Q3"],
        ["2024-W10", "2024-W08", "2024-W09"],
        ["C", "A", "B"],
    ],
)
def test_text_is_ordered_by_what_it_means_and_stays_text(library, times):
    assert order_of(times, library) == [1, 2, 0]
    frame = library.DataFrame({"id": [0, 0, 0], "t": times, "x": [0.0, 1, 2]})
    assert from_long(frame, id="id", time="t").times.values.tolist() == [
        times[i] for i in (1, 2, 0)
    ]


@both_libraries
@pytest.mark.parametrize(
    "times",
    [
        ["28/01/2024", "04/02/2024"],
        ["28.01.2024", "04.02.2024"],
        ["28.01", "04.02"],
        ["28012024", "04022024"],
        ["280124", "040224"],
        ["122823", "012824"],
        ["122023", "012024"],
        ["Jan", "Feb"],
        ["M", "W", "F"],
        ["t1", "t10", "t2"],
        ["8:30 PM", "9:00 AM"],
        ["59:59", "1:00:00"],
        ["2024-W10", "2024-W9"],
        ["2024-01-01", "2024-01-01T00:00Z"],
        ["", "1"],
    ],
)
def test_text_whose_order_is_not_known_is_refused(library, times):
    convert = "pandas.to_datetime" if library is pd else "pl.col('t').str.to_datetime"
    with pytest.raises(
        ValueError, match=rf"^from_long got the time 't' with .*{re.escape(convert)}"
    ):
        order_of(times, library)


january = datetime.date(2024, 1, 1)
noon = datetime.datetime(2024, 1, 1, 12)
half = datetime.datetime(2024, 1, 1, 11, 30)
berlin = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "times",
    [
        pd.Categorical(["high", "low", "mid"], ["low", "mid", "high"], ordered=True),
        pd.Categorical([1, 3, 2], [3, 2, 1], ordered=True),
        pl.Series(["high", "low", "mid"], dtype=pl.Enum(["low", "mid", "high"])),
        [january.replace(day=k) for k in (9, 1, 2)],
        pl.Series([january.replace(day=k) for k in (9, 1, 2)]),
        pd.PeriodIndex(["2024-10", "2024-08", "2024-09"], freq="M"),
        [datetime.time(k) for k in (10, 8, 9)],
        pl.Series([datetime.time(k) for k in (10, 8, 9)]),
        pd.Series(
            [noon.replace(tzinfo=UTC), noon.replace(tzinfo=berlin), half.replace(tzinfo=UTC)],
            dtype=object,
        ),
        pd.Series([2**60 + 2, 2**60, 2**60 + 1], dtype=object),
        pl.Series([Decimal("2.5"), Decimal("-1"), Decimal("0")]),
        pd.array([300, 1, 20], dtype="Int64"),
    ],
    ids=[
        *("categories", "categories of numbers", "enum", "dates", "dates of polars"),
        *("periods", "times of day", "times of day of polars", "mixed zones"),
        *("objects", "decimals", "nullable"),
    ],
)
def test_times_of_every_dtype_are_ordered_and_come_back_so_that_tables_can_be_joined(times):
    library = pl if isinstance(times, pl.Series) else pd
    assert order_of(times, library) == [1, 2, 0]
    assert_comes_back(library.DataFrame({"id": ["a"] * 3, "t": times, "x": [0.0, 1, 2]}))


@pytest.mark.parametrize("dtype", ["date32[pyarrow]", "timestamp[ns][pyarrow]"])
def test_times_of_arrow_in_pandas_come_back_too(dtype):
    pytest.importorskip("pyarrow")
    times = pd.to_datetime(["2024-01-09", "2024-01-01", "2024-01-02"]).to_series().astype(dtype)
    assert order_of(times.array) == [1, 2, 0]
    assert_comes_back(pd.DataFrame({"id": ["a"] * 3, "t": times.array, "x": [0.0, 1, 2]}))


@pytest.mark.parametrize("text", ["string", "large_string"])
def test_ids_of_arrow_come_back_so_that_tables_can_be_joined(text):
    pa = pytest.importorskip("pyarrow")
    ids = pa.array(["b", "a", "b"], getattr(pa, text)())
    frame = pa.table({"id": ids, "t": [2, 1, 1], "x": [0.5, 1, 2]})
    data = from_long(frame, id="id", time="t", features="x")
    x = [steps[:, 0] for steps in data.X]
    back = pa.table(to_long({"t": data.times, "same": x}, ids=data.ids))
    joined = frame.join(back, ["id", "t"])
    assert joined["same"].to_pylist() == joined["x"].to_pylist()


def assert_comes_back(frame):
    """Assert that what to_long lays out can be joined with the frame, by time and by id."""
    for options in ({"id": "id", "time": "t"}, {"id": ["id", "t"]}):
        data = pickle.loads(pickle.dumps(from_long(frame, features="x", **options)))
        times = {} if data.times is None else {"t": data.times}
        back = type(frame)(to_long({"p": data.X, **times}, ids=data.ids))
        if isinstance(frame, pd.DataFrame):
            joined = frame.merge(back, on=["id", "t"])
        else:
            joined = frame.join(back, on=["id", "t"])
        assert sorted(joined["x"]) == sorted(frame["x"])
        assert_array_equal(joined["x"], joined["p_0"])


@both_libraries
@pytest.mark.parametrize("unit", ["ns", "us"])
def test_times_with_a_zone_are_utc_and_keep_their_zone_on_the_way_back(library, unit):
    clock = ["2024-03-31 01:30", "2024-03-31 03:30", "2024-01-01 00:00"]
    if library is pd:
        times = pd.Series(pd.to_datetime(clock)).dt.as_unit(unit).dt.tz_localize("Europe/Berlin")
    else:
        times = (
            pl.Series(clock).str.to_datetime(time_unit=unit).dt.replace_time_zone("Europe/Berlin")
        )
    frame = library.DataFrame({"id": ["a", "a", "b"], "t": times, "x": [0.0, 1, 2]})
    data = from_long(frame, id="id", time="t")
    expected = np.array(["2024-03-31T00:30", "2024-03-31T01:30", "2023-12-31T23:00"], "M8[ns]")
    assert_array_equal(data.times.values, expected)
    assert_comes_back(frame)
    part = np.array([1])
    table = to_long({"t": data.times[part], "p": data.X[part]}, ids={"id": data.ids["id"][part]})
    assert table["t"].dtype == frame["t"].dtype
    assert library.DataFrame(table)["t"].to_list() == frame["t"].to_list()[2:]
    assert_array_equal(data.times[1], expected[2:])


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([True, False], "True of type bool"),
        ([1.0, np.inf], "the number inf"),
        (np.array([1, -(2**63)]), "which stands for a missing date"),
        ([28012024, 4022024], "the number 28012024, which looks like a date with its year last"),
        (pd.Series([1, "2"], dtype=object), "values of several kinds, such as 1 and '2'"),
        (pd.Series([noon, january], dtype=object), "values of several kinds"),
        (pd.Series([pd.Period("2024-02", "M"), pd.Period("2024-01-01", "D")]), "several frequenc"),
        (pd.Categorical(["mid", "low"]), "text such as 'mid'"),
        (pd.interval_range(0, 2), "of type Interval"),
        ([1j, 2], "of type complex"),
    ],
)
def test_what_is_no_time_is_refused(times, message):
    with pytest.raises(
        (TypeError, ValueError), match=f"^from_long got the time 't' with .*{message}"
    ):
        order_of(times)


@pytest.mark.parametrize(
    "times", [["1", "01"], ["8:30", "08:30"], ["2024-01-01T00:00Z", "2024-01-01T01:00+01:00"]]
)
def test_a_time_that_is_spelled_in_two_ways_is_there_twice(times):
    with pytest.raises(ValueError, match="twice for id 0"):
        order_of(times)


# ---- what is read in silence ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.Series([1, 2.5, None], dtype=object), [1, 2.5, np.nan]),
        (pd.Series([Decimal("1"), Decimal("2.5"), Decimal("0")]), [1, 2.5, 0]),
        (pd.arrays.SparseArray([1, 0, 0]), [1, 0, 0]),
        (pl.Series([1, 2.5, 0], dtype=pl.Object), [1, 2.5, 0]),
    ],
)
def test_numbers_of_any_dtype_are_features(column, expected):
    library = pl if isinstance(column, pl.Series) else pd
    data = from_long(library.DataFrame({"id": [0, 0, 0], "x": column, "y": [0.0, 1, 2]}), id="id")
    assert data.feature_names == ("x", "y")
    assert_array_equal(data.X.values[:, 0], expected)


def test_numbers_beside_other_values_are_not_dropped():
    frame = pd.DataFrame({"id": [0, 0], "x": pd.Series([1, "?"], dtype=object), "y": [1.0, 2]})
    with pytest.raises(TypeError, match=r"'x' with numbers and other values, such as 1 and '\?'"):
        from_long(frame, id="id")
    assert from_long(frame, id="id", features="y").feature_names == ("y",)


def test_integers_of_dtype_object_stay_integers():
    frame = pd.DataFrame(
        {"id": [0, 1], "x": [0.0, 1], "y": pd.Series([2**60 + 1, 3], dtype=object)}
    )
    assert_array_equal(from_long(frame, id="id", target="y").y, [2**60 + 1, 3], strict=True)


def test_ids_that_differ_in_type_alone_are_refused():
    frame = pd.DataFrame({"id": pd.Series([1, "1"], dtype=object), "x": [1.0, 2]})
    with pytest.raises(ValueError, match=r"the id 'id' with .*, which differ in type alone"):
        from_long(frame, id="id")


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([7, 7], name="id"),
        pd.RangeIndex(2, name="id"),
        pd.Index(["a", "a"]),
        pd.MultiIndex.from_tuples([(7, 1), (7, 2)], names=["id", "t"]),
        pd.MultiIndex.from_tuples([(7, 1), (7, 2)]),
    ],
)
def test_an_id_in_the_index_is_asked_for_as_a_column(index):
    with pytest.raises(
        ValueError, match=r"id 'id', which is no column .* frame\.reset_index\(\) makes"
    ):
        from_long(pd.DataFrame({"x": [1.0, 2]}, index=index), id="id")


def test_without_a_time_an_index_of_dates_must_be_in_order():
    days = pd.to_datetime(["2024-01-02", "2024-01-01"])
    frame = pd.DataFrame({"id": [1, 1], "x": [1.0, 2]}, index=days)
    with pytest.raises(
        ValueError, match=r"index of dates that go back for id 1; pass frame\.reset_in"
    ):
        from_long(frame, id="id")
    assert len(from_long(frame.assign(id=[1, 2]), id="id").X) == 2
    assert len(from_long(frame[::-1], id="id").X) == 1


@both_libraries
def test_a_target_is_one_for_each_sequence_or_for_each_step(library):
    frame = visits(library)
    y = read(frame, target="ill").y
    assert_array_equal(y, [True, False], strict=True)
    assert read(frame, target="ill").feature_names == ("pulse", "weight")
    assert_array_equal(read(frame, target=["ill"]).y, [[True], [False]], strict=True)

    step = read(frame, target="pulse", target_per="step")
    assert_same_sequences(step.y, [[70, 71, 75], [64, 66]])
    assert step.feature_names == ("weight",)
    both = read(frame, target=["pulse", "weight"], features="ill", target_per="step")
    assert_same_sequences(both.y, [[[70, 80], [71, 81], [75, 85]], [[64, 60], [66, 61]]])


@both_libraries
def test_targets_of_text_are_text(library):
    frame = visits(library, group=["x", "x", "yy", "x", "yy"])
    assert_array_equal(read(frame, target="group").y, ["x", "yy"], strict=True)
    categories = pd.Categorical if library is pd else pl.Series
    frame = visits(library, group=categories(["x", "x", "yy", "x", "yy"]))
    assert_array_equal(read(frame, target="group").y, ["x", "yy"], strict=True)


@both_libraries
def test_a_missing_target_is_nan(library):
    frame = visits(library, score=[1.0, None, None, 3.0, None])
    assert_same_sequences(
        read(frame, target="score", target_per="step").y, [[np.nan, 1, 3], [np.nan, np.nan]]
    )
    frame = visits(library, score=[1.0, 1.0, None, 1.0, None])
    assert_array_equal(read(frame, target="score").y, [1, np.nan])


def test_a_sequence_may_have_one_step_and_a_table_one_row():
    data = from_long(pl.DataFrame({"id": [7], "t": [0], "v": [1.5]}), id="id", time="t")
    assert_same_sequences(data.X, [[[1.5]]])
    frame = pl.DataFrame({"id": [1, 2, 3], "t": [0, 0, 0], "v": [1.0, 2.0, 3.0]})
    assert_same_sequences(from_long(frame, id="id", time="t").X, [[[1]], [[2]], [[3]]])


@both_libraries
@pytest.mark.parametrize(
    ("columns", "options", "error", "message"),
    [
        ({"day": [2, 1, 1, 2, 3]}, {}, ValueError, "day 2 twice for id 'b'; expected each"),
        ({"day": [2, 1, 1, 5, 1]}, {}, ValueError, "day 1 twice for id 'a'"),
        (
            {"day": [2, 1, 1, 5, 1], "ward": [1, 1, 2, 1, 2]},
            {"id": ["patient", "ward"]},
            ValueError,
            r"day 1 twice for id \('a', 2\)",
        ),
        (
            {"patient": ["b", None, "a", "b", "a"]},
            {},
            ValueError,
            "frame without 'patient' in row 1; every row must have an id",
        ),
        ({"day": [2, 1, 1, 5, None]}, {}, ValueError, "'day' in row 4; every row must have a time"),
        ({"day": [2.0, np.nan, 1, 5, 3]}, {}, ValueError, "'day' in row 1; every row must have"),
        (
            {},
            {"target": "pulse"},
            ValueError,
            r"pulse 70\.0 and 71\.0 for id 'b'; with target_per='sequence'.*'step' takes one",
        ),
        ({}, {"target": ["ill", "pulse"]}, ValueError, r"pulse 70\.0 and 71\.0 for id"),
        (
            {"group": ["x", "x", "y", "x", "y"]},
            {"target": ["ill", "group"]},
            TypeError,
            "targets of text beside numbers",
        ),
        (
            {"group": ["x", None, "y", "x", "y"]},
            {"target": "group"},
            ValueError,
            "without 'group' in row 1; every row must have a text",
        ),
        ({}, {"target": "ill", "target_per": "row"}, ValueError, "target_per='row'; expected 'seq"),
        (
            {},
            {"id": "pat"},
            ValueError,
            "id 'pat', which is no column of frame; its columns are 'pa",
        ),
        ({}, {"time": "hour"}, ValueError, "time 'hour', which is no column"),
        ({}, {"features": ["pulse", "x"]}, ValueError, "features 'x', which is no column"),
        ({}, {"target": "x"}, ValueError, "target 'x', which is no column"),
        ({}, {"id": []}, ValueError, "no id; name at least one column"),
        ({"pulse": ["a"] * 5, "weight": ["b"] * 5}, {}, ValueError, "no features; name them, as n"),
        (
            {},
            {"features": "patient"},
            TypeError,
            "'patient' of dtype .*; a feature must be a number",
        ),
    ],
)
def test_what_is_wrong_with_a_table_is_named(library, columns, options, error, message):
    with pytest.raises(error, match=f"^from_long got .*{message}"):
        read(visits(library, **columns), **options)


@both_libraries
def test_a_table_without_rows_is_refused(library):
    with pytest.raises(ValueError, match=r"^from_long got frame with 0 rows"):
        read(visits(library)[:0])


@pytest.mark.parametrize("frame", [{"patient": [1]}, visits(pl).lazy(), np.ones((3, 3)), None])
def test_what_is_no_data_frame_is_refused(frame):
    with pytest.raises(TypeError, match=r"^from_long got frame of type .*Collect a lazy one first"):
        read(frame)


def test_without_narwhals_the_error_names_the_extra():
    script = (
        "import sys; sys.modules['narwhals'] = None\n"
        "import cbptt\n"
        "try: cbptt.from_long(None, id='a')\n"
        "except ImportError as error: print(error)"
    )
    printed = output_of("-c", script)
    assert "from_long needs narwhals" in printed
    assert 'pip install "cbptt[frames]"' in printed


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_estimator_takes_what_comes_out():
    data = read(visits(pl), target="ill")
    model = RNNClassifier(2, max_iter=2, random_state=0).fit(data.X, data.y)
    predictions = pl.DataFrame({**data.ids, "ill": model.predict(data.X)})
    assert predictions["patient"].to_list() == ["b", "a"]


# ---- to_long ------------------------------------------------------------------------------------


@both_libraries
def test_a_table_comes_back_ordered(library):
    frame = visits(library)
    data = read(frame, target="ill", target_per="step", features=["pulse", "weight"])
    columns = {"day": data.times, "x": data.X, "ill": data.y}
    back = library.DataFrame(to_long(columns, ids=data.ids))
    assert list(back.columns) == ["patient", "day", "x_0", "x_1", "ill"]
    assert back["patient"].to_list() == ["b", "b", "b", "a", "a"]
    again = read(back, target="ill", target_per="step", features=["x_0", "x_1"])
    assert_same_sequences(again.X, data.X)
    assert_same_sequences(again.y, data.y)
    assert_same_sequences(again.times, data.times)


def test_dates_come_back():
    days = [datetime.datetime(2024, month, 1) for month in (2, 1, 1, 5, 3)]
    data = read(visits(pl, day=days))
    assert pl.DataFrame(to_long({"day": data.times}))["day"].to_list() == [
        days[i] for i in (1, 0, 3, 2, 4)
    ]


@pytest.mark.parametrize(
    "predictions",
    [
        [[0.1, 0.2], [0.9]],
        np.array([np.array([0.1, 0.2]), np.array([0.9])], object),
        Ragged.from_flat([0.1, 0.2, 0.9], [2, 1]),
    ],
)
def test_predictions_of_any_form_become_a_column_beside_numbers_of_the_sequences(predictions):
    table = to_long({"p": predictions})
    assert list(table) == ["sequence", "p"]
    assert_array_equal(table["sequence"], [0, 0, 1])
    assert_array_equal(table["p"], [0.1, 0.2, 0.9])


def test_an_array_of_predictions_becomes_columns():
    table = to_long({"p": np.arange(8.0).reshape(2, 2, 2)})
    assert_array_equal(table["p_1"], [1, 3, 5, 7])


@pytest.mark.parametrize(
    ("columns", "ids", "message"),
    [
        ({}, None, "got no columns; expected at least one"),
        ({"a": [[1], [2]], "b": [[1, 2], [3]]}, None, "got 'b' with other lengths than 'a'"),
        ({"a": [[1], [2]]}, {"id": [1]}, r"got id 'id' of shape \(1,\) for 2 sequences"),
        ({"a": [[1], []]}, None, r"got a\[1\] with 0 steps"),
        ({"a": [[1], [2]]}, {"a": [1, 2]}, "would make two columns 'a'"),
        ({"a": [[[1, 2]]], "a_1": [[3]]}, None, "would make two columns 'a_1'"),
    ],
)
def test_columns_that_do_not_go_together_are_named(columns, ids, message):
    with pytest.raises(ValueError, match=f"^to_long {message}"):
        to_long(columns, ids=ids)
