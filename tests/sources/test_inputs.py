"""Every kind of input gives the same rows, and what is wrong with a file is said with its name."""

import os

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp._sources import _inputs
from sk_finalmlp.preprocessing import add_history


def as_table(folder):
    return ds.dataset(folder).to_table()


def frames(folder):
    """A function that gives frames of three libraries."""

    def make():
        table = as_table(folder)
        yield table[:1000].to_pandas()
        yield pl.from_arrow(table[1000:1500])
        yield table[1500:2500]
        yield table[2500:].combine_chunks().to_batches()[0]

    return make


INPUTS = {
    "path": lambda folder: folder,
    "text": str,
    "glob": lambda folder: f"{folder}/part-*.parquet",
    "table": as_table,
    "reader": lambda folder: as_table(folder).to_reader(max_chunksize=400),
    "lazy frame": lambda folder: pl.scan_parquet(f"{folder}/*.parquet"),
    "frames": frames,
    "filtered": lambda folder: ds.dataset(folder).filter(ds.field("click") >= 0),
    "feather": lambda folder: ds.dataset(as_table(folder).to_batches()),
}


@pytest.fixture(scope="module")
def in_memory(clicks):
    encoder = CTREncoder(drop="weight", statistics=["item"])
    return encoder, encoder.fit_transform(clicks.drop(columns="click"), clicks["click"])


@pytest.mark.parametrize("make", INPUTS.values(), ids=INPUTS)
def test_every_input_gives_the_same_rows(make, folder, in_memory, temp_folder):
    encoder = CTREncoder(drop="weight", statistics=["item"], temp_folder=temp_folder)
    encoded = encoder.fit_transform(make(folder), "click")
    assert_frame_equal(pd.concat(encoded, ignore_index=True), in_memory[1], check_dtype=False, atol=1e-6)
    encoded.folder.remove()
    rows = make(folder)
    if not isinstance(rows, pa.Table):
        stream = encoder.transform(rows)
        expected = in_memory[0].transform(as_table(folder).drop_columns("click").to_pandas())
        assert_frame_equal(pd.concat(stream, ignore_index=True), expected, atol=1e-6)


def test_folders_that_are_named_by_a_value(clicks, tmp_path):
    for country, rows in clicks.groupby(np.arange(len(clicks)) % 3):
        path = tmp_path / f"country={country}" / "rows.parquet"
        path.parent.mkdir()
        rows.to_parquet(path, index=False)
    encoder = CTREncoder(statistics=None, drop="weight").fit(tmp_path, "click")
    assert encoder.feature_kinds_.loc["country", "kind"] == "categorical"


def test_integers_that_are_floats_in_one_file_and_nothing_in_another(tmp_path):
    for number, item in enumerate([[1, 2, 1], [2.0, None, 1.0], [None, None, None]]):
        item = pa.array(item, pa.null() if number == 2 else None)
        pq.write_table(pa.table({"item": item, "click": [0, 1, 0]}), tmp_path / f"{number}.parquet")
    encoded = CTREncoder(statistics=None).fit_transform(tmp_path, "click")
    assert pd.concat(encoded)["item"].tolist() == [1, 2, 1, 2, 0, 1, 0, 0, 0]


def rewritten(folder, write_folder, clicks, change):
    """The folder with one file changed."""
    write_folder(clicks, folder)
    change(folder / "part-2.parquet")
    return folder


def without_item(path):
    pq.write_table(pq.read_table(path).drop_columns("item"), path)


def with_another(path):
    table = pq.read_table(path)
    pq.write_table(table.append_column("other", table["item"]), path)


def with_text(path):
    table = pq.read_table(path)
    column = table.schema.get_field_index("item")
    pq.write_table(table.set_column(column, "item", table["item"].cast(pa.string())), path)


def cut(path):
    path.write_bytes(path.read_bytes()[:-2000])


def with_scrambled_pages(path):
    content = bytearray(path.read_bytes())
    content[100:6000] = bytes(255 - byte for byte in content[100:6000])
    path.write_bytes(content)


def with_bad_weight(path):
    table = pq.read_table(path)
    column = table.schema.get_field_index("weight")
    pq.write_table(table.set_column(column, "weight", pa.array(np.full(len(table), -1.0))), path)


def without_label(path):
    table = pq.read_table(path)
    column = table.schema.get_field_index("click")
    pq.write_table(table.set_column(column, "click", pa.nulls(len(table), pa.int64())), path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_item, r"part-2\.parquet has no column 'item', which other files have"),
        (with_another, r"part-2\.parquet has the column 'other', which other files lack"),
        (with_text, r"part-2\.parquet has the column 'item' as string, other files as int64"),
        (cut, r"part-2\.parquet can't be read"),
        (with_scrambled_pages, r"part-2\.parquet can't be read"),
        (with_bad_weight, r"part-2\.parquet: sample_weight: column 'weight' holds -1\.0"),
        (without_label, r"part-2\.parquet: y: column 'click' has no label in 700 rows"),
    ],
)
def test_an_error_names_the_file(change, message, tmp_path, write_folder, clicks, temp_folder):
    folder = rewritten(tmp_path / "changed", write_folder, clicks, change)
    encoder = CTREncoder(temp_folder=temp_folder)
    with pytest.raises(ValueError, match=message):
        encoder.fit(ds.dataset(folder), "click", "weight")
    assert not hasattr(encoder, "feature_kinds_")


def test_the_index_of_pandas_is_no_column(tmp_path, clicks):
    table = clicks[:200].sample(frac=1, random_state=0)
    table.to_parquet(tmp_path / "shuffled.parquet")
    table.reset_index(drop=True).to_parquet(tmp_path / "sorted.parquet")
    encoder = CTREncoder().fit(tmp_path, "click")
    assert encoder.feature_names_in_.tolist() == list(clicks.drop(columns="click"))


def test_lists_of_arrow_that_pandas_has_written(tmp_path):
    X = pd.DataFrame({"user": [1, 2] * 9, "item": [5, 6, 7] * 6, "time": range(18), "click": [0, 0, 1] * 6})
    X = add_history(X, user="user", item="item", time="time")
    X.to_parquet(tmp_path / "rows.parquet")
    encoder = CTREncoder(histories={"history": "item"}, statistics=None)
    in_files = pd.concat(encoder.fit_transform(tmp_path / "rows.parquet", "click"))
    in_memory = encoder.fit_transform(X.drop(columns="click"))
    np.testing.assert_array_equal(in_files, in_memory)


def test_a_csv_file_is_a_data_set_of_arrow(tmp_path):
    path = tmp_path / "clicks.csv"
    path.write_text("user,click\n" + "1,0\n2,1\n" * 20)
    with pytest.raises(ValueError, match=r"Pass pyarrow\.dataset\.dataset\('.*clicks\.csv', format='csv'\)"):
        CTREncoder().fit(path, "click")
    assert CTREncoder().fit(ds.dataset(path, format="csv"), "click").feature_kinds_.index.tolist() == ["user"]


def test_an_error_in_new_rows_names_the_file(tmp_path, write_folder, clicks):
    encoder = CTREncoder(statistics=None, numeric=["item"]).fit(write_folder(clicks, tmp_path / "old"), "click")
    words = write_folder(clicks.assign(item="many"), tmp_path / "new")
    with pytest.raises(ValueError, match=r"part-0\.parquet: Column 'item': 'many' is not a number"):
        list(encoder.transform(words))


def an_empty_folder(folder, tmp_path):
    return tmp_path


def a_glob_without_files(folder, tmp_path):
    return f"{tmp_path}/*.parquet"


def one_time_frames(folder, tmp_path):
    iterator = iter([as_table(folder)[:500], as_table(folder)[500:1000]])
    return lambda: iterator


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (an_empty_folder, ValueError, r"is empty: there is no Parquet file to read"),
        (a_glob_without_files, FileNotFoundError, r"No file is named like"),
        (lambda folder, tmp_path: tmp_path / "nowhere", FileNotFoundError, r"There is no file or folder"),
        (lambda folder, tmp_path: list, ValueError, r"gives no frame"),
        (lambda folder, tmp_path: lambda: as_table(folder), TypeError, r"must give an iterable of frames"),
        (lambda folder, tmp_path: lambda: iter([3]), TypeError, r"gives a int, which is not a data frame"),
        (one_time_frames, ValueError, r"gave 500 rows in the first pass and 0 in the second"),
        (lambda folder, tmp_path: as_table(folder)[:0], ValueError, r"0 sample\(s\)"),
    ],
)
def test_inputs_without_rows(make, error, message, folder, tmp_path):
    with pytest.raises(error, match=message):
        CTREncoder().fit(make(folder, tmp_path), "click")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("clicked",), ValueError, r"y='clicked' is not a column of X"),
        (("click", "weights"), ValueError, r"sample_weight='weights' is not a column of X"),
        (([0, 1],), TypeError, r"y must be the name of one of its columns, not list"),
        (("price",), None, ""),
    ],
)
def test_names_of_label_and_weight(arguments, error, message, folder):
    if error is None:
        assert "continuous" in CTREncoder().fit(folder, *arguments).statistics_["why"].iloc[0]
        return
    with pytest.raises(error, match=message):
        CTREncoder().fit(folder, *arguments)


def test_what_rows_in_batches_can_not_do(folder):
    with pytest.raises(ValueError, match=r"Call set_output\(transform='default'\)"):
        CTREncoder().set_output(transform="pandas").fit_transform(folder, "click")
    with pytest.raises(TypeError, match=r"Pipeline\(\[\('enc', CTREncoder\(\)\)"):
        FinalMLPClassifier().fit(folder, "click")
    with pytest.raises(ValueError, match=r"temp_folder='/nowhere' is not a folder"):
        CTREncoder(temp_folder="/nowhere").fit(folder, "click")


def test_names_of_frames_that_are_no_strings_or_twice_there():
    numbered = pd.DataFrame([[1, 0]], columns=[0, "click"])
    with pytest.raises(TypeError, match=r"the column name 0, which is no string.*rename\(columns=str\)"):
        CTREncoder().fit(lambda: iter([numbered]), "click")
    twice = pd.DataFrame([[1, 0, 1]], columns=["a", "click", "a"])
    with pytest.raises(ValueError, match="A frame of X has 2 columns named 'a'"):
        CTREncoder().fit(lambda: iter([twice]), "click")


@pytest.mark.parametrize("compression", ["snappy", "none"])
@pytest.mark.parametrize("n_passes", [0, 1])
def test_a_file_that_is_replaced_during_fit_is_named(tmp_path, clicks, monkeypatch, compression, n_passes):
    path, passes, batches = tmp_path / "clicks.parquet", [], _inputs._Files.batches
    pq.write_table(pa.Table.from_pandas(clicks), path, compression=compression)

    def replace_and_read(self, columns):
        if len(passes) == n_passes:
            new = tmp_path / "new"
            pq.write_table(pa.Table.from_pandas(clicks[::-1]), new, compression=compression)
            os.utime(new, ns=(0, path.stat().st_mtime_ns + 1_000))
            new.replace(path)
        passes.append(columns)
        yield from batches(self, columns)

    monkeypatch.setattr(_inputs._Files, "batches", replace_and_read)
    with pytest.raises(ValueError, match=r"clicks\.parquet has changed during fit"):
        CTREncoder(random_state=0).fit_transform(path, "click")
    assert len(passes) == n_passes + 1
