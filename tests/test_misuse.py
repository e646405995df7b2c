"""What a newcomer does wrong, and the message that comes of it: each names the fact and the remedy.

Each package tests its own errors; here they are met on the way from a raw table to a score, as a user meets them.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from small_models import SMALL

from sk_finalmlp import CTREncoder, FinalMLPClassifier, FunnelClassifier, metrics
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.inspection import slice_scores
from sk_finalmlp.nn import TwoStreamNetwork
from sk_finalmlp.schema import Field
from sk_finalmlp.streams import CrossNet

RAW, CLICKS, PROBABILITY = make_click_data(200, n_users=20, n_items=10, click_rate=0.4, random_state=0)
ENCODED = CTREncoder(statistics=None).fit_transform(RAW)
THREE_CLASSES = np.arange(len(CLICKS)) % 3


def encoder(**parameters):
    return CTREncoder(**{"statistics": None} | parameters)


def classifier(**parameters):
    return FinalMLPClassifier(**SMALL | {"num_heads": 2} | parameters)


def pipeline(**parameters):
    return Pipeline([("enc", encoder()), ("clf", classifier(**parameters))])


def score(scoring, y):
    return cross_val_score(pipeline(), RAW, y, scoring=scoring, cv=2, error_score="raise")


def twice_a_user(X):
    return pd.concat([X, X[["user"]]], axis=1)


ENCODER = {
    "column that isn't there": (
        lambda: encoder(categorical=["usr"]).fit(RAW),
        ValueError,
        r"categorical: There is no column 'usr'\. The columns are \['user', 'item'.* Did you mean 'user'\?",
    ),
    "position that isn't there": (lambda: encoder(drop=[99]).fit(RAW), ValueError, r"no column 99: X has 10 columns"),
    "column of two kinds": (
        lambda: encoder(numeric=["user"], categorical=["user"]).fit(RAW),
        ValueError,
        r"'user' is chosen as categorical and as numeric: choose one",
    ),
    "strings as numbers": (
        lambda: encoder(numeric=["user"]).fit(RAW),
        ValueError,
        r"Column 'user': 'user_\d+' is not a number\. Correct the value or make it missing, or take the column",
    ),
    "strings as dates": (
        lambda: encoder(datetime=["user"]).fit(RAW),
        ValueError,
        r"Column 'user': 'user_\d+' is not an ISO 8601 date or time\. Convert the column with `pandas.to_datetime`",
    ),
    "lists as a category": (
        lambda: encoder(categorical=["tags"]).fit(RAW),
        TypeError,
        r"Column 'tags': \[.*\] is a list, where single values are expected\. Name it in `multi_valued` or `drop`",
    ),
    "all columns dropped": (
        lambda: encoder(drop=list(RAW)).fit(RAW),
        ValueError,
        r"No column is left to encode: all of them are dropped",
    ),
    "empty separator": (
        lambda: encoder(separator="").fit(RAW),
        ValueError,
        r"'separator' parameter of CTREncoder must not be empty.*or 'auto'",
    ),
    "unknown encoding": (
        lambda: encoder(numeric_encoding="bin").fit(RAW),
        ValueError,
        r"'numeric_encoding' parameter of CTREncoder must be a str among .*'bins'.*Got 'bin'",
    ),
    "cross of a column that isn't there": (
        lambda: encoder(crosses=[("user", "itm")]).fit(RAW),
        ValueError,
        r"crosses: there is no field 'itm'\. The fields are \['user', 'item'",
    ),
    "cross without its tuple": (
        lambda: encoder(crosses=["user", "item"]).fit(RAW),
        ValueError,
        r"crosses: 'user' is a single field: a cross takes a tuple of two or more",
    ),
    "cross as a set": (
        lambda: encoder(crosses=[{"user"}]).fit(RAW),
        ValueError,
        r"crosses: {'user'} is neither a name nor a position.*tuples of these, such as \('user', 'item'\)",
    ),
    "cross of a number": (
        lambda: encoder(crosses=[("user", "numeric_0")]).fit(RAW),
        ValueError,
        r"crosses: 'numeric_0' is numeric.*in bins with `numeric_encoding='bins'`",
    ),
    "cross of a datetime": (
        lambda: encoder(crosses=[("user", "time")]).fit(RAW),
        ValueError,
        r"crosses: column 'time' makes several fields, name one of them: \['time_hour'",
    ),
    "statistics of a column that isn't there": (
        lambda: encoder(statistics=["usr"]).fit(RAW, CLICKS),
        ValueError,
        r"statistics: there is no field 'usr'\. The fields are",
    ),
    "statistics without y": (
        lambda: encoder(statistics=["user"]).fit(RAW),
        ValueError,
        r"there is no y\. Give labels as y, or leave `statistics` out",
    ),
    "statistics of a continuous y": (
        lambda: encoder(statistics=["user"]).fit(RAW, PROBABILITY),
        ValueError,
        r"y does not contain class labels \(Unknown label type: continuous\)\. Give labels",
    ),
    "column that would be made twice": (
        lambda: encoder().fit(RAW.assign(time_hour="a")),
        ValueError,
        r"Several output columns would be called 'time_hour': rename the input columns",
    ),
    "column named as a cross": (
        lambda: encoder().fit(RAW.assign(**{"user & item": "a"}), CLICKS),
        ValueError,
        "Column 'user & item' is named as a combination of other columns would be: rename it",
    ),
    "column named as a cross, without any": (
        lambda: encoder(statistics=None).fit(RAW.assign(**{"user & item": "a"}), CLICKS),
        ValueError,
        "Column 'user & item' is named as a combination of other columns",
    ),
    "single label for an encoder": (
        lambda: encoder().fit(RAW, np.array(1)),
        ValueError,
        r"y should be a 1d array, got array\(1\), a single value, instead",
    ),
    "transform before fit": (lambda: encoder().transform(RAW), NotFittedError, r"CTREncoder instance is not fitted"),
    "numbers that became strings": (
        lambda: encoder().fit(RAW).transform(RAW.assign(numeric_0="cheap")),
        ValueError,
        r"Column 'numeric_0': 'cheap' is not a number",
    ),
    "encoded twice": (
        lambda: encoder().fit(RAW).transform(ENCODED),
        ValueError,
        r"seen at fit time, yet now missing:\n- tags\n- time",
    ),
}

TABLES = {
    "column twice, encoder": (
        lambda: encoder().fit(twice_a_user(RAW)),
        ValueError,
        r"X has 2 columns named 'user'.*Rename or drop all but one",
    ),
    "column twice, classifier": (
        lambda: classifier().fit(twice_a_user(ENCODED), CLICKS),
        ValueError,
        r"X has 2 columns named 'user'.*Rename or drop all but one",
    ),
    "row as a dict": (
        lambda: pipeline().fit(RAW, CLICKS).predict_proba(RAW.iloc[0].to_dict()),
        TypeError,
        r"X is a dict\. Make a table of it: pd\.DataFrame\(\[X\]\) if it is one row",
    ),
    "record batch": (
        lambda: encoder().fit(pa.RecordBatch.from_pandas(RAW)),
        TypeError,
        r"X is a RecordBatch\. Pass pyarrow\.Table\.from_batches\(\[X\]\)",
    ),
    "reader of record batches": (
        lambda: classifier().fit(pa.Table.from_pandas(ENCODED).to_reader(), CLICKS),
        TypeError,
        r"X is a RecordBatchReader, which can be read only once\. Pass X\.read_all\(\)",
    ),
    "rows as dicts": (
        lambda: classifier().fit(ENCODED, CLICKS).predict_proba(ENCODED.to_dict("records")),
        TypeError,
        r"X is a list of dicts\. Make a table of it: pd\.DataFrame\(X\)",
    ),
    "names of files": (
        lambda: encoder().fit(["monday.parquet", "tuesday.parquet"]),
        TypeError,
        r"X is a list of strings, such as 'monday\.parquet'.*pyarrow\.dataset\.dataset\(X\), or a pattern",
    ),
    "generator": (
        lambda: encoder().fit(table for table in [RAW]),
        TypeError,
        r"X is a generator, which can be read only once\. Pass a function that returns one",
    ),
    "name of the column as weights": (
        lambda: encoder().fit(RAW, CLICKS, sample_weight="weight"),
        ValueError,
        r"sample_weight='weight' is a name.*Pass the weights themselves: X\['weight'\]",
    ),
    "a series, encoder": (lambda: encoder().fit(RAW["user"]), ValueError, r"Pass a DataFrame containing a single row"),
    "a series, classifier": (
        lambda: classifier().fit(ENCODED["user"], CLICKS),
        ValueError,
        r"Pass a DataFrame containing a single row",
    ),
    "sparse, encoder": (lambda: encoder().fit(sparse.eye_array(9)), TypeError, r"Use '\.toarray\(\)'"),
    "names of two types": (
        lambda: encoder().fit(RAW.rename(columns={"user": 0})),
        TypeError,
        r"\['int', 'str'\] as feature name.*X\.columns = X\.columns\.astype\(str\)",
    ),
    "renamed column": (
        lambda: pipeline().fit(RAW, CLICKS).predict(RAW.rename(columns={"item": "itm"})),
        ValueError,
        r"unseen at fit time:\n- itm\nFeature names seen at fit time, yet now missing:\n- item",
    ),
}

CLASSIFIER = {
    "encoder forgotten": (
        lambda: classifier().fit(RAW, CLICKS),
        ValueError,
        r"Column 'user' has dtype String.*Pipeline\(\[\('enc', CTREncoder\(\)\)",
    ),
    "encoder forgotten at predict": (
        lambda: classifier().fit(ENCODED, CLICKS).predict_proba(RAW),
        ValueError,
        r"unseen at fit time:\n- tags",
    ),
    "predict before fit": (
        lambda: classifier().predict_proba(ENCODED),
        NotFittedError,
        r"FinalMLPClassifier instance is not fitted yet\. Call 'fit'",
    ),
    "parameter of the step given to the pipeline": (
        lambda: GridSearchCV(pipeline(), {"num_heads": [1, 2]}).fit(RAW, CLICKS),
        ValueError,
        r"Invalid parameter 'num_heads' for estimator Pipeline",
    ),
    "context that isn't there": (
        lambda: pipeline(fs1_context=["time"]).fit(RAW, CLICKS),
        ValueError,
        r"fs1_context.*names 'time', but the fields are \[.*'time_hour'",
    ),
    "stream of a column that isn't there": (
        lambda: pipeline(stream_fields=(["usr"], None)).fit(RAW, CLICKS),
        ValueError,
        r"stream_fields names 'usr', but the fields are \['user', 'item'",
    ),
    "stream that reads nothing": (
        lambda: pipeline(stream_fields=([], None)).fit(RAW, CLICKS),
        ValueError,
        r"stream_fields is empty, and a stream needs a field to read. None stands for all fields",
    ),
    "heads that don't divide": (
        lambda: pipeline(num_heads=3).fit(RAW, CLICKS),
        ValueError,
        r"num_heads=3 doesn't divide both stream widths, 8 and 8.*\[1, 2, 4, 8\]",
    ),
    "unknown scoring": (
        lambda: pipeline(scoring="auc").fit(RAW, CLICKS),
        ValueError,
        r"'scoring' parameter of FinalMLPClassifier must be .*get_scorer_names.*Got 'auc' .*mean 'roc_auc'",
    ),
    "device that isn't there": (
        lambda: pipeline(device="cuda:99").fit(RAW, CLICKS),
        ValueError,
        r"device='cuda:99' was asked for, but torch \S+ finds no such device.*Use 'auto' or one of \[.*'cpu'\]",
    ),
    "NaN as a class weight": (
        lambda: pipeline(class_weight={0: np.nan}).fit(RAW, CLICKS),
        ValueError,
        r"class_weight must be positive and finite, but class 0 has nan",
    ),
    "probabilities as y": (
        lambda: pipeline().fit(RAW, PROBABILITY),
        ValueError,
        r"Unknown label type: continuous.*expects discrete classes",
    ),
    "labels of two types": (
        lambda: pipeline().fit(RAW, np.array([0, "click"] * 100, dtype=object)),
        ValueError,
        r"Unknown label type: y holds objects, of type int and str\. Give them one type.*np\.asarray\(y, dtype=str\)",
    ),
    "numbers as objects": (
        lambda: pipeline().fit(RAW, CLICKS.astype(object)),
        ValueError,
        r"y holds objects, of type int\. Give them one type, for example by np\.asarray\(y, dtype=int\)",
    ),
    "name of the column as y": (
        lambda: classifier().fit(ENCODED, "click"),
        ValueError,
        r"y='click' is a name, as rows in files take it.*fit\(X.drop\(columns='click'\), X\['click'\]\)",
    ),
    "name of the column as y, score": (
        lambda: classifier().fit(ENCODED, CLICKS).score(ENCODED, "click"),
        ValueError,
        r"y='click' is a name, as rows in files take it, but X is a table in memory\. Pass the labels themselves",
    ),
    "lists as labels": (
        lambda: classifier().fit(ENCODED, [["a"], ["a", "b"]] * (len(ENCODED) // 2)),
        ValueError,
        r"y holds \['a'\], and a label is a single value\. For several labels of a row take FunnelClassifier",
    ),
    "lists as labels of a task": (
        lambda: FunnelClassifier().fit(ENCODED, pd.DataFrame({"a": [["a"]] * len(ENCODED), "b": CLICKS})),
        ValueError,
        r"'a' holds \['a'\], and a label is a single value",
    ),
    "text as weights": (
        lambda: classifier().fit(ENCODED, CLICKS, ["1.5"] * len(ENCODED)),
        ValueError,
        r"sample_weight holds '1\.5' in row 0, which is no number.*pandas\.to_numeric",
    ),
    "times as weights": (
        lambda: CTREncoder().fit(RAW, CLICKS, pd.date_range("2024-01-01", periods=len(RAW))),
        ValueError,
        r"sample_weight holds Timestamp\('2024-01-01.*in row 0, which is no number.*half_life",
    ),
    "a number for each row as its class": (
        lambda: classifier().fit(ENCODED, np.arange(len(ENCODED)) // 3),
        ValueError,
        r"y has \d+ classes in \d+ rows, such as \[0, 1, 2\].*merge the rare ones",
    ),
    "validation rows as in other libraries": (
        lambda: classifier().fit(ENCODED, CLICKS, eval_set=[(ENCODED, CLICKS)]),
        TypeError,
        r"FinalMLPClassifier\.fit has no argument 'eval_set'\. Pass X_val and y_val",
    ),
    "names of the columns as y": (
        lambda: FunnelClassifier().fit(ENCODED.assign(click=CLICKS, buy=CLICKS), ["click", "buy"]),
        ValueError,
        r"y=\['click', 'buy'\] is a name.*X\[\['click', 'buy'\]\]",
    ),
    "name of the column as weights": (
        lambda: classifier().fit(ENCODED, CLICKS, sample_weight="weight"),
        ValueError,
        r"sample_weight='weight' is a name.*Pass the weights themselves: X\['weight'\]",
    ),
    "class of a stream": (
        lambda: FinalMLPClassifier(stream2=CrossNet).fit(ENCODED, CLICKS),
        ValueError,
        r"The stream CrossNet is a class\. Give an instance, CrossNet\(\)",
    ),
    "two labels": (
        lambda: pipeline().fit(RAW, np.column_stack([CLICKS, CLICKS])),
        ValueError,
        r"1d array, got an array of shape \(200, 2\).*Choose a column of y, or take FunnelClassifier",
    ),
    "one class": (lambda: pipeline().fit(RAW, CLICKS * 0), ValueError, r"at least two classes.*y has one class, \[0\]"),
}

VALIDATION = {
    "not encoded": (
        lambda: pipeline().fit(RAW, CLICKS, clf__X_val=RAW, clf__y_val=CLICKS),
        ValueError,
        r"X_val: (.|\n)*must be encoded like X, by the same fitted encoder.*transform_input=\['X_val'\]",
    ),
    "rows as dicts": (
        lambda: classifier().fit(ENCODED, CLICKS, X_val=ENCODED.to_dict("records"), y_val=CLICKS),
        TypeError,
        r"X_val: X is a list of dicts\. Make a table of it",
    ),
    "without routing": (
        lambda: pipeline().fit(RAW, CLICKS, X_val=RAW, y_val=CLICKS),
        ValueError,
        r"does not accept the X_val parameter",
    ),
    "labels missing": (
        lambda: classifier().fit(ENCODED, CLICKS, X_val=ENCODED, y_val=CLICKS.where(CLICKS == 1)),
        ValueError,
        r"y_val: Input y contains NaN: some labels are missing\. Leave those rows out\.$",
    ),
    "labels of another length": (
        lambda: classifier().fit(ENCODED, CLICKS, X_val=ENCODED, y_val=CLICKS[:5]),
        ValueError,
        r"y_val: .*inconsistent numbers of samples: \[200, 5\]$",
    ),
    "labels as strings": (
        lambda: classifier().fit(ENCODED, CLICKS, X_val=ENCODED, y_val=CLICKS.astype(str)),
        ValueError,
        r"y_val: the classes \['0', '1'\] are new: fit saw \[0, 1\]",
    ),
    "weights of another length": (
        lambda: classifier().fit(ENCODED, CLICKS, X_val=ENCODED, y_val=CLICKS, sample_weight_val=[1]),
        ValueError,
        r"sample_weight_val: sample_weight\.shape == \(1,\), expected \(200,\)",
    ),
    "AUC of one class": (
        lambda: classifier(scoring="roc_auc").fit(ENCODED, CLICKS, X_val=ENCODED[:9], y_val=np.ones(9, int)),
        ValueError,
        r"scoring='roc_auc' needs validation rows of every class, but y_val has none of \[0\]\. Add such rows",
    ),
}

SCORES = {
    "three classes, binary scorer": (
        lambda: score(metrics.get_scorer("neg_expected_calibration_error"), THREE_CLASSES),
        ValueError,
        r"Only binary y_true is supported.*labels begin with \[0, 1, 2\]\. Score one of them against the rest",
    ),
    "labels and scores exchanged": (
        lambda: metrics.normalized_entropy(PROBABILITY, CLICKS),
        ValueError,
        r"continuous, and it has values such as \[0\.\d+.*y_true comes first, the scores second",
    ),
    "both columns of predict_proba": (
        lambda: metrics.roc_auc_interval(CLICKS, np.column_stack([1 - PROBABILITY, PROBABILITY])),
        ValueError,
        r"pass the column of the click, predict_proba\(X\)\[:, 1\]",
    ),
    "log-odds for probabilities": (
        lambda: metrics.normalized_entropy(CLICKS, np.log(PROBABILITY)),
        ValueError,
        r"y_proba contains values less than 0: -\d.*Pass the probability of a click",
    ),
    "groups by name": (
        lambda: metrics.grouped_auc(CLICKS, PROBABILITY, groups="user"),
        ValueError,
        r"groups has shape \(\), but each row needs one group: pass a column, such as X\['user'\]",
    ),
    "two columns of groups": (
        lambda: metrics.grouped_auc(CLICKS, PROBABILITY, groups=RAW[["user", "item"]]),
        ValueError,
        r"groups has shape \(200, 2\)",
    ),
    "groups of a column that isn't there": (
        lambda: score(metrics.make_grouped_auc_scorer("usr"), CLICKS),
        ValueError,
        r"X has no column 'usr' to group by",
    ),
    "scorer by an unknown name": (
        lambda: metrics.get_scorer("gauc"),
        ValueError,
        r"'gauc' is neither a scorer of scikit-learn nor one of \['grouped_auc'",
    ),
    "several scorers at once": (
        lambda: metrics.get_scorer(["roc_auc", "grouped_auc"]),
        ValueError,
        r"'name' parameter of get_scorer must be an instance of 'str'",
    ),
    "confidence in per cent": (
        lambda: metrics.roc_auc_interval(CLICKS, PROBABILITY, confidence_level=95),
        ValueError,
        r"'confidence_level' parameter of roc_auc_interval must be a float in the range \(0\.0, 1\.0\)\. Got 95",
    ),
    "confidence in per cent, slices": (
        lambda: slice_scores(CLICKS, PROBABILITY, RAW["user"], confidence_level=95),
        ValueError,
        r"'confidence_level' parameter of slice_scores must be a float in the range \(0\.0, 1\.0\)\. Got 95",
    ),
}

PARTS = {
    "click rate in per cent": (
        lambda: make_click_data(100, click_rate=10),
        ValueError,
        r"'click_rate' parameter of make_click_data must be a float in the range \(0\.0, 1\.0\)\. Got 10",
    ),
    "network without fields": (lambda: TwoStreamNetwork([]), ValueError, r"fields must be one or more of .*Got \[\]"),
    "network of names": (
        lambda: TwoStreamNetwork(["user"]),
        ValueError,
        r"such as CTREncoder\(\)\.fit\(X\)\.fields_.*'user'",
    ),
    "field without codes": (
        lambda: Field("user", "categorical"),
        ValueError,
        r"Field 'user' is categorical: n_codes must be at least 1, got 0",
    ),
}

MISUSES = {
    f"{where}: {what}": case
    for where, cases in {
        "encoder": ENCODER,
        "table": TABLES,
        "classifier": CLASSIFIER,
        "validation": VALIDATION,
        "score": SCORES,
        "part": PARTS,
    }.items()
    for what, case in cases.items()
}


@pytest.mark.parametrize(("misuse", "error", "message"), MISUSES.values(), ids=MISUSES)
def test_message_names_fact_and_remedy(misuse, error, message):
    with pytest.raises(error, match=message):
        misuse()


LONG = "x" * 100_000
TWO_USERS = pd.DataFrame({"user": ["a", "b"] * 5})
LONG_VALUES = {
    "a number": (lambda: CTREncoder(numeric=["c"]), [1.5], [LONG]),
    "a date": (lambda: CTREncoder(datetime=["c"]), ["2024-01-01"], [LONG]),
    "dates, and lists": (CTREncoder, [pd.Timestamp("2024-01-01")], [[LONG]]),
    "text, and lists": (CTREncoder, ["a"], [[LONG]]),
    "arrays, and text": (CTREncoder, [[0.5, 1.5]], [LONG]),
    "a history, and text": (lambda: CTREncoder(histories={"c": "user"}), [["a"]], [LONG]),
    "text of lists": (lambda: CTREncoder(multi_valued=["c"]), ["a|b"], [f"['{LONG}']"]),
}


def column_c(values):
    return TWO_USERS.assign(c=pd.Series(values * 10, dtype=object if isinstance(values[0], list | str) else None))


@pytest.mark.parametrize(("make", "known", "new"), LONG_VALUES.values(), ids=LONG_VALUES)
def test_message_shows_the_beginning_of_a_long_value(make, known, new):
    with pytest.raises((TypeError, ValueError), match=r"^Column 'c': .*xxx\.\.\.xxx") as error:
        make().fit(column_c(known)).transform(column_c(new))
    assert len(str(error.value)) < 500


def test_message_shows_some_of_many_labels():
    model = CTREncoder(statistics=["user"]).fit(TWO_USERS, [0, 1] * 5)
    users = pd.DataFrame({"user": ["a"] * 1_000})
    with pytest.raises(
        ValueError, match=r"labels that fit didn't see, \[2, 3, 4, .*\.\.\.\]; it saw \[0, 1\]"
    ) as error:
        model.partial_fit(users, np.arange(1_000))
    assert len(str(error.value)) < 500
    network = classifier(max_epochs=1).partial_fit(np.zeros((2, 1), int), [0, 1], classes=[0, 1])
    with pytest.raises(ValueError, match=r"\[2, 3, 4, .*\.\.\.\]") as error:
        network.partial_fit(np.zeros((1_000, 1), int), np.arange(1_000) // 3)
    assert len(str(error.value)) < 500
