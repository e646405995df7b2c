"""The benchmarks run, on sizes at which their numbers mean nothing."""

import json
import os
import runpy
import shutil
import sys
import warnings
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

BENCHMARKS = Path(__file__).parents[1] / "examples" / "benchmarks"


@pytest.fixture
def run(capsys):
    """Runs a script of the benchmarks in this process, which has imported what each needs, and returns its output."""
    known = set(sys.modules)

    def run_script(name, *options):
        script = str(BENCHMARKS / name)
        arguments = [script, *map(str, options)]
        path = [str(Path(script).parent), *sys.path]
        with patch.dict(os.environ), patch.multiple(sys, argv=arguments, path=path), warnings.catch_warnings():
            # Of so few rows there are.
            warnings.simplefilter("ignore")
            runpy.run_path(script, run_name="__main__")
        # Folders have modules of the same names.
        for module in set(sys.modules) - known:
            if BENCHMARKS.as_posix() in Path(getattr(sys.modules[module], "__file__", None) or "").as_posix():
                del sys.modules[module]
        return capsys.readouterr().out

    return run_script


def test_benchmarks_write_their_results(run, tmp_path):
    names = ["encoding", "prediction", "vocabulary", "serving"]
    run("", "--size", "tiny", "--only", *names, "--no-plot", "--out", tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert {result["benchmark"] for result in results} == {*names}
    assert all(result["median"] > 0 for result in results)


def compare_accuracy(run, out, *options):
    run("accuracy", "--rows", "400", "--no-plot", "--out", out, *options)
    return pd.read_csv(out / "accuracy.csv"), (out / "accuracy-validation-400.md").read_text()


def test_accuracy_goes_on_where_it_stopped_and_compares_with_catboost(run, tmp_path):
    options = ["--data", "click_dense", "--models", "finalmlp", "--params", "clf__max_epochs=1", "--seeds"]
    before, _ = compare_accuracy(run, tmp_path, *options, "0")
    records, _ = compare_accuracy(run, tmp_path, *options, "0", "1")
    assert_frame_equal(records.head(1), before)
    assert records["seed"].tolist() == [0, 1]
    assert records["model"].unique().tolist() == ["finalmlp(clf__max_epochs=1)"]

    # A stand-in, as CatBoost needn't be installed.
    catboost = records.assign(model="catboost", auc=records["auc"] - 0.01, log_loss=records["log_loss"] + 0.02)
    pd.concat([records, catboost]).to_csv(tmp_path / "accuracy.csv", index=False)
    for stored in list((tmp_path / "probabilities").iterdir()):
        name = stored.name.replace("finalmlp(clf__max_epochs=1)", "catboost")
        stored.with_name(name).write_bytes(stored.read_bytes())
    _, text = compare_accuracy(run, tmp_path, "--no-fit")
    assert "| +0.0100 (0.0000; 0.0000) | -0.0200 (0.0000; 0.0000) |" in text
    calibration = float(next(line for line in text.splitlines() if "| catboost |" in line).split("|")[7])
    scored = [np.load(path) for path in (tmp_path / "probabilities").glob("*catboost*")]
    assert len(scored) == 2
    assert calibration == pytest.approx(np.mean([p["probability"].mean() / p["y"].mean() for p in scored]), abs=1e-3)


def test_time_to_score_has_points_of_each_model_and_a_picture(run, tmp_path):
    for package in ("catboost", "lightgbm"):
        pytest.importorskip(package)
    options = ["--rows", "300", "--seconds", "0.1", "--out", tmp_path / "scores"]
    run("accuracy/time_to_score.py", "click_dense", *options)
    points = pd.read_csv(tmp_path / "scores.csv")
    assert points["model"].unique().tolist() == ["sk_finalmlp", "CatBoost", "LightGBM"]
    assert points["auc"].between(0, 1).all()
    assert "<svg" in (tmp_path / "scores.svg").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="the service is handed an open socket")
def test_the_example_service_refuses_malformed_bodies_and_loses_no_request(run):
    options = ["--rows", "300", "--candidates", "5", "--seconds", "0.2", "--bodies", "200"]
    printed = run("service", *options)
    assert "200 malformed bodies" in printed
    assert "answers, 0 lost" in printed


def study(run, out, *options):
    run("study", "--rows", "200", "--out", out, *options)
    return pd.read_csv(out / "study.csv"), pd.read_csv(out / "comparisons.csv")


def test_the_study_compares_all_variants_on_a_seed_before_the_next(run, tmp_path):
    variants = ["finalmlp", "fusion_sum", "fusion_concat", "one_stream", "gates_user_item", "width=128,heads=1"]
    options = ["--data", "click_sparse", "--variants", *variants, "--seeds", "0"]
    records, comparisons = study(run, tmp_path, *options, "1")
    assert records["model"].tolist() == 2 * variants
    assert records["seed"].tolist() == 6 * [0] + 6 * [1]
    # Each network is another one.
    assert records["auc"].nunique() == 12

    means = records.groupby("model")[["auc", "log_loss"]].mean()
    for comparison in comparisons.to_dict("records"):
        score, error = comparison["score"], comparison["standard_error"]
        expected = means.loc[comparison["model"], score] - means.loc[comparison["reference"], score]
        assert comparison["difference"] == pytest.approx(expected, abs=1e-5)
        assert 0 < 1.9 * error < comparison["high"] - comparison["difference"]
    ablations = comparisons.query("family == 'ablations' and score == 'auc'")
    assert set(ablations["model"]) == {*variants} - {"finalmlp"}
    assert ablations["pvalue_holm"].min() == pytest.approx(min(1, 5 * ablations["pvalue"].min()), rel=1e-4)
    assert comparisons.query("family == 'heads'")[["model", "reference"]].to_numpy().tolist() == 2 * [
        ["finalmlp", "width=128,heads=1"]
    ]

    # What is there isn't fitted again, and without the predictions the pictures are drawn of the tables.
    shutil.rmtree(tmp_path / "probabilities")
    (tmp_path / "study-ablations.svg").unlink()
    again = study(run, tmp_path, *options)
    assert_frame_equal(again[0], records)
    assert_frame_equal(again[1], comparisons)
    assert (tmp_path / "study-ablations.svg").stat().st_size


PUBLISHED = runpy.run_path(str(BENCHMARKS / "published.py"))["BENCHMARKS"]


def write_published(name, folder, n_rows=40):
    """Files in the format of a published benchmark."""
    benchmark, rng = PUBLISHED[name], np.random.default_rng(0)
    for part in ("train", "valid", "test"):
        columns = {column: rng.integers(0, 3, n_rows) for column in benchmark.categorical}
        columns |= {column: rng.random(n_rows) for column in benchmark.numbers + benchmark.as_they_are}
        if "hour" in columns:
            columns["hour"] = rng.choice(["14102100", "14102523"], n_rows)
        clicks = pd.Series(np.arange(n_rows) % 2, name=benchmark.label)
        pd.DataFrame(columns).assign(unused="x").join(clicks).to_csv(folder / f"{part}.csv", index=False)


def test_a_published_configuration_trains_on_public_files(run, tmp_path):
    write_published("criteo_x1", tmp_path)
    output = run("published.py", "criteo_x1", tmp_path, "--device", "cpu", "--rows", "30")
    assert "train: 30 rows, click rate 0.5000" in output
    assert "AUC       0.814902" in output


def test_another_published_model_of_the_family_trains_on_the_same_files(run, tmp_path):
    write_published("frappe", tmp_path, n_rows=60)
    (tmp_path / "test.csv").unlink()
    options = ["--model", "finalnet_1b", "--part", "valid", "--device", "cpu"]
    output = run("published.py", "frappe", tmp_path, *options)
    assert "AUC       0.985223" in output


def test_hours_of_avazu_become_hour_weekday_and_weekend(tmp_path):
    write_published("avazu_x4", tmp_path)
    X, _ = PUBLISHED["avazu_x4"].read(tmp_path / "train.csv", None)
    assert {tuple(row) for row in X[["hour", "weekday", "weekend"]].to_numpy()} == {
        ("0", "1", "False"),
        ("23", "5", "True"),
    }


def test_missing_numbers_of_criteo_fall_into_the_bucket_of_zero(tmp_path):
    write_published("criteo_x4", tmp_path)
    frame = pd.read_csv(tmp_path / "train.csv").assign(I1=[None, 0.0] * 10 + [1.0] * 10 + [100.0] * 10)
    frame.to_csv(tmp_path / "train.csv", index=False)
    X, y = PUBLISHED["criteo_x4"].read(tmp_path / "train.csv", None)
    codes = PUBLISHED["criteo_x4"].make_encoder().fit_transform(X, y)["I1"]
    assert codes[:20].nunique() == 1
    assert codes.nunique() == 3
    assert codes.min() == 1


def test_histories_of_a_small_beauty(run, tmp_path):
    rng = np.random.default_rng(0)
    users = [[user, *rng.integers(1, 30, rng.integers(3, 9))] for user in range(1, 80)]
    (tmp_path / "Beauty.txt").write_text("\n".join(" ".join(map(str, user)) for user in users))
    (tmp_path / "Beauty_item2attributes.json").write_text(json.dumps({item: [item % 5 + 1] for item in range(1, 30)}))
    options = ["--seeds", "0", "--members", "1", "--beauty", tmp_path, "--out", tmp_path / "scores.jsonl"]
    run("histories.py", "beauty", "--models", "without", "transformer", *options)
    records = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert [record["model"] for record in records] == ["without", "transformer"]
    assert all(0 < record["test_grouped_auc"] < 1 for record in records)
