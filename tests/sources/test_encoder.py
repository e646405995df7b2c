"""The encoder learns from rows on disk what it learns from the same rows in memory."""

import errno
import gc
import os
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pytest
from pandas.testing import assert_frame_equal

from sk_finalmlp import CTREncoder
from sk_finalmlp._sources import EncodedRows, sizes
from sk_finalmlp.preprocessing import _sums

LABEL_AND_WEIGHT = ["click", "weight"]


def fit_both(clicks, folder, weighted=False, **parameters):
    """Encoded rows and encoders, in memory and on disk."""
    X, y = clicks.drop(columns=LABEL_AND_WEIGHT), clicks["click"]
    in_memory, on_disk = CTREncoder(**parameters), CTREncoder(**parameters)
    dataset = ds.dataset(folder)
    if weighted:
        expected = in_memory.fit_transform(X, y, clicks["weight"])
        encoded = on_disk.fit_transform(dataset, "click", "weight")
    else:
        expected = in_memory.fit_transform(X, y)
        encoded = on_disk.set_params(drop="weight").fit_transform(dataset, "click")
    return in_memory, expected, on_disk, encoded


def check_same(in_memory, expected, on_disk, encoded):
    """Kinds, vocabularies, statistics and rows agree."""
    kinds = on_disk.feature_kinds_.drop(index="weight", errors="ignore")
    assert_frame_equal(kinds, in_memory.feature_kinds_)
    assert_frame_equal(on_disk.statistics_, in_memory.statistics_)
    assert on_disk.fields_ == in_memory.fields_
    for name, values in in_memory.categories_.items():
        np.testing.assert_array_equal(on_disk.categories_[name], values)
    rows = pd.concat(encoded.batches(), ignore_index=True)
    assert_frame_equal(rows, expected, check_dtype=False, check_exact=True)
    derived = [field.name for field in on_disk.fields_ if field.kind == "statistic" or " & " in field.name]
    assert_frame_equal(rows[derived], expected[derived], check_dtype=False, check_exact=True)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"numeric_encoding": "bins", "crosses": [("user", "item")], "statistics": ["item", ("user", "item")]},
        {"numeric_encoding": "standard", "min_frequency": 40, "hold_out": "last", "max_length": 2},
        {"numeric_encoding": "log", "n_hash_buckets": 30, "statistics": None, "numeric": ["item", "time"]},
        {"crosses": "auto", "categorical": ["time", "price"], "min_frequency": 0.001, "max_categories": 50},
    ],
    ids=["default", "bins and crosses", "rare values", "hashes", "times as categories"],
)
def test_rows_on_disk_are_encoded_as_in_memory(clicks, folder, parameters, weighted):
    check_same(*fit_both(clicks, folder, weighted, **parameters))


def test_statistics_of_few_and_of_many_possible_keys(clicks, folder):
    check_same(*fit_both(clicks, folder, True, statistics=["user", ("user", "item"), ("user", "tags")]))


def test_statistics_of_weights_that_are_fractions(clicks, tmp_path, write_folder, monkeypatch):
    monkeypatch.setattr(_sums, "BLOCK", 50)
    thirds = clicks.assign(weight=clicks["weight"] / 3 + 0.1)
    folder = write_folder(thirds, tmp_path / "thirds")
    check_same(*fit_both(thirds, folder, True, crosses=[("user", "item")], statistics=["user", ("user", "item")]))


def test_statistics_of_lists_with_more_combinations_than_63_bits_can_tell_by_fold(tmp_path, write_folder):
    random = np.random.default_rng(0)
    tags = [random.choice(4_700, size, replace=False) for size in random.integers(4, 6, 3_000)]
    clicks = pd.DataFrame({"tags": tags, "click": random.integers(0, 2, 3_000), "weight": 1.0})
    clicks["tags"] = clicks["tags"].map(lambda ids: [f"tag{number}" for number in ids])
    assert 2**63 / 12 < CTREncoder(statistics=None).fit(clicks[["tags"]]).cardinalities_["tags"] ** 5 < 2**63
    check_same(*fit_both(clicks, write_folder(clicks, tmp_path / "lists"), statistics=["tags"]))


@pytest.mark.parametrize("weighted", [False, True])
def test_integers_that_go_with_time_are_left_out_as_in_memory(clicks, tmp_path, write_folder, weighted):
    clicks = clicks.assign(campaign=np.arange(len(clicks)) // 100)
    folder = write_folder(clicks, tmp_path / "clicks")
    in_memory, expected, on_disk, encoded = fit_both(clicks, folder, weighted, hold_out="last")
    assert in_memory.feature_kinds_.loc["campaign", "why"].startswith("goes with time")
    check_same(in_memory, expected, on_disk, encoded)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_vectors_and_histories_are_encoded_as_in_memory(clicks, tmp_path, write_folder, monkeypatch, n_jobs):
    monkeypatch.setattr(sizes, "TASK", 700)
    random = np.random.default_rng(0)
    history = [list(random.integers(0, 70, size)) for size in random.integers(0, 5, len(clicks))]
    text = [None if row % 7 == 0 else random.normal(size=3) for row in range(len(clicks))]
    clicks = clicks.assign(history=history, text=text, weight=clicks["weight"] + 0.1)
    vectors = {"item": pd.DataFrame(random.normal(size=(50, 4)))}
    parameters = {"vectors": vectors, "histories": {"history": "item"}, "max_length": {"history": 3, "tags": 2}}
    folder = write_folder(clicks, tmp_path / "clicks")
    with joblib.parallel_config("threading"):
        check_same(*fit_both(clicks, folder, True, n_jobs=n_jobs, max_categories=40, **parameters))


def test_numbers_of_more_values_than_are_counted_are_described_by_a_sample(clicks, folder, monkeypatch):
    monkeypatch.setattr(sizes, "SAMPLE", 1_000)
    in_memory, expected, on_disk, encoded = fit_both(clicks, folder, statistics=None)
    assert on_disk.feature_kinds_.loc["price", "n_missing"] == 0
    rows = pd.concat(encoded.batches(), ignore_index=True)
    assert np.abs(rows["price"] - expected["price"]).mean() < 0.1
    assert_frame_equal(rows.drop(columns="price"), expected.drop(columns="price"), check_dtype=False)
    assert on_disk.categories_.keys() == in_memory.categories_.keys()


@pytest.mark.parametrize(("n_rows", "elapses"), [(50_000, True), (49_999, False)])
def test_time_elapses_in_many_rows_however_few_times_they_have(n_rows, elapses, tmp_path, write_folder):
    days = pd.Timestamp("2024-05-01") + pd.to_timedelta(np.arange(n_rows) % 30, unit="D")
    encoder = CTREncoder().fit(write_folder(pd.DataFrame({"day": days}), tmp_path / "days"))
    assert ("day_elapsed" in encoder.get_feature_names_out()) == elapses


def test_new_rows_are_encoded_as_they_are_read(clicks, folder):
    encoder = CTREncoder(drop="weight", statistics=["item"]).fit(folder, "click")
    stream = encoder.transform(folder)
    rows = pd.concat(stream, ignore_index=True)
    assert_frame_equal(rows, encoder.transform(clicks.drop(columns="click")))
    assert_frame_equal(pd.concat(stream, ignore_index=True), rows)


def test_without_labels(clicks, folder):
    encoded = CTREncoder(drop=LABEL_AND_WEIGHT).fit_transform(ds.dataset(folder))
    expected = CTREncoder(drop=LABEL_AND_WEIGHT).fit_transform(clicks)
    assert_frame_equal(pd.concat(encoded, ignore_index=True), expected, check_dtype=False)


def test_labels_as_strings(clicks, tmp_path, write_folder):
    words = clicks.assign(click=np.where(clicks["click"], "yes", "no"))
    folder = write_folder(words, tmp_path / "words")
    check_same(*fit_both(words, folder, statistics=["user"]))


@pytest.mark.parametrize(
    ("weight", "message"), [(0.0, "at least one non-zero number"), (1e200, r"holds 1e\+200, .*Divide them")]
)
def test_weights_that_cannot_be_computed_with(weight, message, clicks, tmp_path, write_folder):
    folder = write_folder(clicks[:600].assign(weight=weight), tmp_path / "weights")
    with pytest.raises(ValueError, match=message):
        CTREncoder().fit(folder, "click", "weight")


def test_rows_without_weight_make_no_room_for_their_lists(tmp_path, write_folder):
    tags = [["a", "b"], ["c", "d"], ["a", "b", "c", "d"], ["e"]] * 20
    rows = pd.DataFrame({"tags": tags, "weight": [1.0, 1.0, 0.0, 1.0] * 20})
    encoder = CTREncoder(min_frequency=2).fit(write_folder(rows, tmp_path / "lists"), sample_weight="weight")
    assert encoder.get_feature_names_out().tolist() == ["tags@0", "tags@1"]


def test_files_are_removed_with_the_rows(folder, temp_folder):
    encoded = CTREncoder(temp_folder=temp_folder).fit_transform(folder, "click")
    assert isinstance(encoded, EncodedRows)
    assert encoded.shape == (3_000, len(encoded.columns))
    assert str(temp_folder) in repr(encoded)
    assert list(temp_folder.iterdir())
    del encoded
    gc.collect()


def test_fit_leaves_no_files(folder, temp_folder):
    CTREncoder(temp_folder=temp_folder).fit(folder, "click")


def test_a_line_for_each_pass(folder, capsys):
    CTREncoder(verbose=1, statistics=["item"]).fit(folder, "click")
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "values",
        "codes",
        "statistics of item",
    ]


_KILLED = """
import os, signal, sys
import pandas as pd
from sk_finalmlp import CTREncoder

def frames():
    yield pd.DataFrame({"item": ["a", "b"]})
    os.kill(os.getpid(), signal.SIGKILL)

CTREncoder(temp_folder=sys.argv[1]).fit(frames)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="locks of POSIX")
def test_what_a_killed_process_leaves_is_removed_by_the_next_and_what_others_use_stays(folder, temp_folder):
    in_use = CTREncoder(temp_folder=temp_folder).fit_transform(folder, "click")
    subprocess.run([sys.executable, "-c", _KILLED, str(temp_folder)], check=False)
    assert len(list(temp_folder.iterdir())) == 2
    CTREncoder(temp_folder=temp_folder).fit(folder, "click")
    assert list(temp_folder.iterdir()) == [in_use.folder.path]


@pytest.mark.skipif(sys.platform == "win32", reason="locks of POSIX")
def test_file_systems_without_locks_have_temporary_files_too(folder, temp_folder, monkeypatch):
    def refuse(file, operation):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    first = CTREncoder(temp_folder=temp_folder).fit_transform(folder, "click")
    CTREncoder(temp_folder=temp_folder).fit(folder, "click")
    assert list(temp_folder.iterdir()) == [first.folder.path]


_FORKED = """
import os, sys
import pandas as pd
from sk_finalmlp import CTREncoder

rows = CTREncoder(temp_folder=sys.argv[1]).fit_transform(lambda: iter([pd.DataFrame({"item": ["a", "b"]})]))
if child := os.fork():
    os.waitpid(child, 0)
    print(len(pd.concat(rows)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_fork_that_ends_leaves_the_files_to_the_process(temp_folder):
    command = [sys.executable, "-c", _FORKED, str(temp_folder)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "2\n"
    assert not list(temp_folder.iterdir())


@pytest.fixture
def small_tasks(monkeypatch):
    """Tasks of a few row groups."""
    monkeypatch.setattr(sizes, "TASK", 500)


@pytest.mark.usefixtures("small_tasks")
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_several_workers_learn_what_one_does(backend, clicks, folder):
    parameters = {"numeric_encoding": "bins", "crosses": "auto", "min_frequency": 10}
    one, expected, _, _ = fit_both(clicks, folder, True, **parameters)
    with joblib.parallel_config(backend, n_jobs=2):
        check_same(one, expected, *fit_both(clicks, folder, True, **parameters)[2:])


@pytest.mark.usefixtures("small_tasks")
def test_the_samples_of_several_workers_are_that_of_one(folder, monkeypatch):
    monkeypatch.setattr(sizes, "SAMPLE", 400)
    with joblib.parallel_config("threading"):
        one, two = (CTREncoder(drop="weight", n_jobs=n).fit_transform(folder, "click") for n in (1, 2))
    assert_frame_equal(pd.concat(two), pd.concat(one))


@pytest.mark.usefixtures("small_tasks")
def test_an_error_of_a_worker_names_the_file(clicks, tmp_path, write_folder, temp_folder):
    clicks = clicks.assign(click=clicks["click"].astype("Int64"))
    clicks.loc[2_900, "click"] = pd.NA
    files = write_folder(clicks, tmp_path / "missing")
    with pytest.raises(ValueError, match=r"part-3\.parquet: y: column 'click' has no label in 1 rows"):
        CTREncoder(n_jobs=2, temp_folder=temp_folder).fit(files, "click")


def test_a_fit_to_several_labels_before_is_forgotten(clicks, folder):
    rows = clicks.drop(columns=LABEL_AND_WEIGHT)
    encoder = CTREncoder(drop="weight", statistics=["item"])
    encoder.fit(rows.assign(weight=1.0), pd.DataFrame({"click": clicks["click"], "buys": 1 - clicks["click"]}))
    encoder.fit(folder, "click").partial_fit(rows.assign(weight=1.0), clicks["click"])


@pytest.mark.usefixtures("small_tasks")
def test_several_workers_encode_histories(tmp_path, write_folder):
    random = np.random.default_rng(0)
    items = [f"i{i}" for i in random.integers(20, size=2_000)]
    rows = pd.DataFrame({"item": items, "click": random.integers(0, 2, 2_000)})
    rows["history"] = [[f"i{i}" for i in random.integers(25, size=n)] for n in random.integers(5, size=2_000)]
    files = write_folder(rows, tmp_path / "histories")
    encoders = (CTREncoder(histories={"history": "item"}, n_jobs=n) for n in (1, 2))
    with joblib.parallel_config("threading"):
        one, two = (encoder.fit_transform(files, "click") for encoder in encoders)
    assert_frame_equal(pd.concat(two), pd.concat(one))


@pytest.mark.usefixtures("small_tasks")
@pytest.mark.parametrize("most_numbers", [2**22, 1_000], ids=["all", "a sample"])
def test_several_workers_learn_vectors(tmp_path, write_folder, monkeypatch, most_numbers):
    monkeypatch.setattr("sk_finalmlp.preprocessing._tally._MAX_NUMBERS_OF_VECTORS", most_numbers)
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"image": [*random.normal(size=(2_000, 3))], "click": random.integers(0, 2, 2_000)})
    files = write_folder(rows, tmp_path / "vectors")
    with joblib.parallel_config("threading"):
        one, two = (CTREncoder(n_jobs=n).fit_transform(files, "click") for n in (1, 2))
    assert_frame_equal(pd.concat(two), pd.concat(one), check_exact=True)
