"""The loaders of tables that can't be passed on, on a few made-up rows in the published formats."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from sk_finalmlp import CTREncoder, FinalMLPClassifier, published_configs
from sk_finalmlp.streams import MLP

ACCURACY = Path(__file__).parents[1] / "examples" / "benchmarks" / "accuracy"


@pytest.fixture
def folders(monkeypatch):
    monkeypatch.syspath_prepend(ACCURACY)
    import _folders
    import _later

    yield _folders.FOLDERS | _later.LATER
    for name in ("_folders", "_later", "_real", "_synthetic", "_tables"):
        sys.modules.pop(name)


def write(folder, **files):
    for name, lines in files.items():
        (folder / name.replace("__", ".")).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder)


FILMS = ["1;Toy Story (1995);Animation|Comedy", '7;"Great Performances" Cats (1998);Musical']


def test_movielens_1m(folders, monkeypatch, tmp_path):
    parts = {f"test_1m{part}__dat": [f"{part},1,{part}"] for part in range(1, 6)}
    users = [f"{user};F;25;10;48067" for user in range(1, 6)]
    monkeypatch.setenv("MOVIELENS_1M_HOME", write(tmp_path, **parts, users__dat=users, movies__dat=FILMS))
    table = folders["movielens_1m"].load()
    assert list(table.X) == ["user", "item", "gender", "age", "occupation", "year", "genres"]
    # Three stars are neither.
    assert table.X["user"].tolist() == ["1", "2", "4", "5"]
    assert table.y.tolist() == [0, 0, 1, 1]
    assert table.X["genres"].tolist() == 4 * [["Animation", "Comedy"]]


def test_movielens_tags(folders, monkeypatch, tmp_path):
    tags = ["3;7;cats; of course;1215184630", "3;1;pixar;1188263867", "4;99;unknown film;1188263868"]
    monkeypatch.setenv("MOVIELENS_10M_HOME", write(tmp_path, tags__dat=tags, movies__dat=FILMS))
    table = folders["movielens_tags"].load()
    assert table.y.sum() == 3
    assert len(table.y) == 9
    assert table.X["time"].is_monotonic_increasing
    clicks = table.X[table.y == 1]
    assert clicks["tag"].tolist() == ["pixar", "unknown film", "cats; of course"]
    assert clicks["year"].fillna("-").tolist() == ["1995", "-", "1998"]
    assert clicks["genres"].tolist() == [["Animation", "Comedy"], [], ["Musical"]]


def test_film_tags_later_are_dated_by_day_and_all_earlier_rows_are_for_the_test(folders, monkeypatch, tmp_path):
    day, user = 86_400, range(10)
    tags = [f"{number};7;cats;{1_188_259_200 + day * number + 60}" for number in user] + ["0;7;late;1215184630"]
    monkeypatch.setenv("MOVIELENS_10M_HOME", write(tmp_path, tags__dat=tags, movies__dat=FILMS))
    table = folders["film_tags_later"].load()
    assert table.y.sum() == 10
    assert len(table.y) == 30
    assert table.X["date"].is_monotonic_increasing
    assert table.X["date"].iloc[0] == pd.Timestamp("2007-08-28")
    # Later tags of a user for the same film are left out.
    assert "late" not in set(table.X["tag"])
    assert [len(table.fitted(part, 0)[1]) for part in ("validation", "test")] == [24, 27]
    assert [len(table.part(part, 0)[1]) for part in ("train", "validation", "test")] == [24, 3, 3]


def test_artist_tags_later(folders, monkeypatch, tmp_path):
    lines = ["2\t52\t13\t1\t4\t2009", "3\t52\t15\t1\t3\t2009", "3\t51\t15\t1\t3\t1956"]
    header = "userID\tartistID\ttagID\tday\tmonth\tyear"
    monkeypatch.setenv("LASTFM_HOME", write(tmp_path, user_taggedartists__dat=[header, *lines]))
    table = folders["artist_tags_later"].load()
    assert table.X["user"][table.y == 1].tolist() == ["3", "2"]
    assert table.X["date"][table.y == 1].tolist() == [pd.Timestamp("2009-03-01"), pd.Timestamp("2009-04-01")]


def test_tennis_later_hides_who_won(folders, monkeypatch, tmp_path):
    columns = [f"{side}_{name}" for side in ("winner", "loser") for name in ("id", "ioc", "hand", "age", "rank")]
    header = ",".join(["tourney_name", "surface", "tourney_level", "round", "tourney_date", *columns])
    match = "Nottingham,Grass,A,R32,{}0617,1,GBR,L,20.5,3,2,FRA,R,31,40"
    files = {f"atp_matches_{season}__csv": [header, *20 * [match.format(season)]] for season in range(1991, 2025)}
    monkeypatch.setenv("TENNIS_HOME", write(tmp_path, **files))
    table = folders["tennis_later"].load()
    assert table.X["date"].is_monotonic_increasing
    assert (table.X["id_1"].eq("1") == (table.y == 1)).all()
    assert table.X[["age_1", "age_2", "rank_1", "rank_2"]].sum(axis="columns").unique().tolist() == [94.5]
    assert 0.4 < table.y.mean() < 0.6


AVAZU = {
    **dict.fromkeys(
        ["C1", "banner_pos", "site_id", "site_domain", "site_category", "app_id", "app_domain"], "1fbe01fe"
    ),
    **dict.fromkeys(["app_category", "device_id", "device_ip", "device_model", "device_type"], "a99f214a"),
    **dict.fromkeys(["device_conn_type", *(f"C{number}" for number in range(14, 22))], "-1"),
}


@pytest.mark.parametrize("name", ["criteo", "avazu"])
def test_samples_of_real_schemas_go_through_a_published_configuration(name, folders, monkeypatch, tmp_path):
    if name == "criteo":
        rows = ["\t".join([str(row % 2), *([str(row), ""] * 7)[:13], *["68fd1e64", ""] * 13]) for row in range(100)]
    else:
        rows = [",".join(["id,click,hour", *AVAZU])]
        rows += [",".join([str(10**19 + row), str(row % 2), "14102100", *AVAZU.values()]) for row in range(100)]
    write(tmp_path, **{name: rows})
    monkeypatch.setenv(f"{name.upper()}_SAMPLE", str(tmp_path / name))
    table = folders[f"{name}_sample"].load()
    encoder = CTREncoder(statistics=None)
    encoded = encoder.fit_transform(table.X, table.y)
    narrow = {"stream1": MLP((8,)), "stream2": MLP((8,)), "max_epochs": 1, "batch_size": 50}
    parameters = {**published_configs[f"finalmlp_{name}_x4"], **narrow, "fs_hidden_units": (4,), "num_heads": 1}
    present = set(encoder.feature_names_in_) & set(encoded)
    for context in ("fs1_context", "fs2_context"):
        parameters[context] = [column for column in parameters.get(context) or [] if column in present]
    classifier = FinalMLPClassifier(**parameters, random_state=0).fit(encoded, table.y)
    assert classifier.predict_proba(encoder.transform(table.X)).shape == (100, 2)


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("movielens_1m", "MOVIELENS_1M_HOME"),
        ("movielens_tags", "MOVIELENS_10M_HOME"),
        ("criteo_sample", "CRITEO_SAMPLE"),
        ("avazu_sample", "AVAZU_SAMPLE"),
        ("film_tags_later", "MOVIELENS_10M_HOME"),
        ("artist_tags_later", "LASTFM_HOME"),
        ("tennis_later", "TENNIS_HOME"),
    ],
)
def test_without_a_folder_the_error_names_the_variable(name, variable, folders, monkeypatch):
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(OSError, match=rf"\${variable} doesn't name (the folder|a file|a CSV file) of"):
        folders[name].load()
