"""Files in which a column is missing, changes its type, or has more values than are counted."""

import datetime
import decimal
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp._sources import sizes
from sk_finalmlp.preprocessing import _sums, _tally

N_ROWS = 1_500


@pytest.fixture(autouse=True)
def few_values(monkeypatch):
    """A sample of all rows to choose by, and few values that are counted."""
    monkeypatch.setattr(sizes, "SAMPLE", N_ROWS - 1)
    monkeypatch.setattr(_tally, "_MAX_VALUES", N_ROWS - 1)
    monkeypatch.setattr(_tally, "_MIN_WAITING", 100)


@pytest.fixture
def write(tmp_path) -> Callable[..., str]:
    """A function that writes files, each of these columns of Arrow."""

    def write(*files):
        random = np.random.default_rng(0)
        for number, columns in enumerate(files):
            click = random.integers(0, 2, len(next(iter(columns.values()))))
            pq.write_table(pa.table({"click": click, **columns}), tmp_path / f"{number}.parquet")
        return str(tmp_path)

    return write


def encode(folder, label="click", weight=None, **parameters):
    encoder = CTREncoder(**parameters)
    return encoder, pd.concat(encoder.fit_transform(folder, label, weight), ignore_index=True)


def numbers(n_rows=N_ROWS):
    return np.random.default_rng(0).permutation(10 * n_rows)[:n_rows]


NUMBERS = ["prices", "durations", "decimals"]
LISTS = [["a"], ["b"], ["a", "b"], [], ["c"]]
COLUMNS = {
    "prices": pa.array(numbers() / 7),
    "durations": pa.array(numbers(), pa.duration("us")),
    "decimals": pa.array([decimal.Decimal(int(value)).scaleb(-2) for value in numbers()]),
    "lists": pa.array([LISTS[value % 5] for value in numbers()]),
    "vectors": pa.array(list(np.random.default_rng(0).random((N_ROWS, 3)))),
    "histories": pa.array([LISTS[value % 3] for value in numbers()]),
}


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_that_is_all_missing_in_one_file(name, place, write):
    item = pa.array([*"abc"] * (N_ROWS // 3))
    files = [{"x": COLUMNS[name], "item": item}]
    files.insert(place, {"x": pa.nulls(9), "item": item[:9]})
    parameters = {"histories": {"x": "item"} if name == "histories" else None, "statistics": None}
    encoder, encoded = encode(write(*files), **parameters)
    assert encoder.feature_kinds_.loc["x", "n_missing"] == 9
    known = np.arange(N_ROWS) + 9 * (place == 0)
    _, expected = encode(write(*files[1 - place : 2 - place], {"x": COLUMNS[name][:0], "item": item[:0]}), **parameters)
    # Other rows are in the sample where others come first.
    tolerance = 0.5 if place == 0 and name in NUMBERS else 0
    assert_frame_equal(encoded.iloc[known].reset_index(drop=True), expected, atol=tolerance, rtol=0)
    assert not encoded.drop(index=known).filter(regex="^x").to_numpy().any()


def test_a_column_that_is_missing_in_all_files(write):
    encoder, _ = encode(write({"x": pa.nulls(9, pa.float64()), "y": [1.5, 2.5, 3.5] * 3}))
    assert encoder.feature_kinds_.loc["x"].tolist() == ["numeric", "no values", 9, 0, 1]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    "other", [pa.array(np.arange(9)), pa.array([True, False, True] * 3)], ids=["integers", "bools"]
)
def test_rows_without_weight_of_another_type_count_as_absent(other, place, write):
    prices = numbers() / 7
    files = [{"x": prices, "weight": np.ones(N_ROWS)}]
    files.insert(place, {"x": other, "weight": np.zeros(9)})

    def frames():
        for number in range(2):
            yield pq.read_table(f"{folder}/{number}.parquet")

    folder = write(*files)
    encoder = CTREncoder(statistics=None).fit(frames, "click", "weight")
    expected = CTREncoder(statistics=None).fit(pd.DataFrame({"x": prices}))
    assert encoder.feature_kinds_["why"].tolist() == expected.feature_kinds_["why"].tolist()


def test_numbers_of_which_there_is_a_sample_beside_text():
    def frames():
        yield pd.DataFrame({"x": numbers(4 * N_ROWS) / 7})
        yield pd.DataFrame({"x": ["cheap"]})

    with pytest.raises(ValueError, match=r"frame 1: Column 'x' holds large_string.*numbers before.*one type"):
        CTREncoder().fit(frames)


def test_durations_and_decimals_of_many_values_are_sampled_as_numbers(write):
    encoder, encoded = encode(write({name: COLUMNS[name] for name in NUMBERS}))
    assert encoder.feature_kinds_["kind"].tolist() == ["numeric"] * 3
    assert (encoded.std() > 0.9).all()


def test_ids_of_more_values_than_are_counted_are_refused_whatever_their_type(write):
    for ids in (pa.array(numbers()), COLUMNS["prices"], pa.array([str(value) for value in numbers()])):
        with pytest.raises(ValueError, match=r"'x' has a different value in nearly every row.*Name it in `drop`"):
            encode(write({"x": ids}), categorical="x")


def test_values_of_histories_are_no_sample(write):
    with pytest.raises(ValueError, match=r"Column 'item'.*more values than codes can be learned of"):
        encode(write({"item": numbers() / 7, "seen": pa.array([[0.5]] * N_ROWS)}), histories={"seen": "item"})


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_hashed_columns_of_more_values_than_are_counted(n_jobs, write, monkeypatch):
    monkeypatch.setattr(sizes, "TASK", 500)
    monkeypatch.setattr(sizes, "SAMPLE", 200)
    ids = [f"u{value}" for value in numbers()]
    tags = [[*ids[row : row + row % 4]] for row in range(N_ROWS)]
    columns = {"text": ids, "tags": tags, "split": ["|".join(own) for own in tags], "number": numbers()}
    parameters = {"n_hash_buckets": 50, "categorical": ["text", "number"], "statistics": None, "multi_valued": "split"}
    encoder, encoded = encode(write(columns), n_jobs=n_jobs, **parameters)
    in_memory = CTREncoder(**parameters)
    assert_frame_equal(encoded, in_memory.fit_transform(pd.DataFrame(columns)), check_dtype=False)
    assert encoder.feature_kinds_["kind"].tolist() == in_memory.feature_kinds_["kind"].tolist()
    assert encoder.feature_kinds_["n_missing"].tolist() == in_memory.feature_kinds_["n_missing"].tolist()


def test_statistics_of_few_lists_by_many_keys(write, monkeypatch):
    monkeypatch.setattr(_sums, "BLOCK", 5)
    columns = {"tags": COLUMNS["lists"].to_pylist()}
    folder = write(columns)
    _, encoded = encode(folder, statistics=["tags"])
    click = pq.read_table(folder)["click"].to_numpy()
    in_memory = CTREncoder(statistics=["tags"]).fit_transform(pd.DataFrame(columns), click)
    assert_frame_equal(encoded, in_memory, check_dtype=False)


def test_labels_of_many_values_make_no_statistics_as_in_memory(write, monkeypatch):
    n_rows = 12_000
    monkeypatch.setattr(sizes, "SAMPLE", n_rows)
    x = np.arange(n_rows) % 7
    folder = write({"x": x, "price": np.random.default_rng(0).random(n_rows), "order": np.arange(n_rows)})
    for label, why in (("order", "12000 classes, more than 20"), ("price", "continuous")):
        encoder = CTREncoder(drop=sorted({"click", "price", "order"} - {label}))
        encoded = encoder.fit_transform(folder, label)
        assert why in encoder.statistics_.loc["x", "why"]
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        FinalMLPClassifier().fit(encoded, "price")


@pytest.mark.filterwarnings("ignore:Column 'user' has a different value in nearly every row")
def test_codes_of_the_most_buckets_are_those_in_memory(write):
    columns = {"user": [f"u{value}" for value in numbers()]}
    parameters = {"n_hash_buckets": 2**31 - 2, "statistics": None}
    _, encoded = encode(write(columns), **parameters)
    in_memory = CTREncoder(**parameters).fit_transform(pd.DataFrame(columns))
    assert_frame_equal(encoded, in_memory, check_dtype=False)
    assert encoded["user"].min() > 0


@pytest.mark.parametrize(
    "elements",
    [
        pa.array([datetime.date(2024, 1, 1)] * 3),
        pa.array([True, False, True]),
        pa.array([datetime.timedelta(1)] * 3),
    ],
    ids=lambda elements: str(elements.type),
)
@pytest.mark.parametrize("first", ["text", "numbers"])
def test_lists_of_another_type_in_another_frame(first, elements):
    lists = {"text": [["a", "b", "c", "d"], ["a"]], "numbers": [[1, 2, 3, 4], [1]]}
    frames = [pa.table({"tags": rows * 5}) for rows in (lists[first], [elements.to_pylist()])]
    encoder = CTREncoder(statistics=None).fit(lambda: iter(frames))
    assert encoder.feature_kinds_.loc["tags", "n_columns"] == 4
    for frame in frames:
        assert (encoder.transform(frame)["tags@0"].to_numpy() > 0).all()


def test_a_batch_of_empty_lists(write):
    columns = {"tags": pa.array([[]] * 9, pa.list_(pa.string()))}
    encoder, _ = encode(write(columns, {"tags": COLUMNS["lists"]}), statistics=None)
    assert encoder.categories_["tags"].tolist() == ["a", "b", "c"]
