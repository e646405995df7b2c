"""A predictor takes each value for what the pipeline takes it for, and refuses what the pipeline refuses."""

import datetime
import decimal
import enum
import fractions
import uuid

import numpy as np
import pandas as pd
import pytest

from sk_finalmlp import CTREncoder
from sk_finalmlp.serving._export import export
from sk_finalmlp.serving._to_onnx import make_session

N_ROWS = 80
TIMES = pd.date_range("2024-01-01", periods=N_ROWS, freq="7h")
NUMBERS = np.random.default_rng(0).normal(size=N_ROWS)


class Colour(enum.IntEnum):
    RED = 1


#: Values of fit, and parameters of the encoder.
COLUMNS = {
    "text": (["a", "b", "1", "True", "2024-01-01"] * 16, {}),
    "text of bools": (["true", "false"] * 40, {}),
    "integers": ([1, 2, 3, 0] * 20, {"categorical": ["column"]}),
    "large integers": ([2**60 + 1, 2**60 + 3, 5, 7] * 20, {"categorical": ["column"]}),
    "bools": ([True, False] * 40, {}),
    "numbers": (NUMBERS, {}),
    "integers as numbers": (range(N_ROWS), {"numeric": ["column"]}),
    "numbers as categories": ([1.5, 2.5, 0.5, 1.0] * 20, {"categorical": ["column"]}),
    "durations": (pd.to_timedelta(NUMBERS, unit="s"), {}),
    "times": (TIMES, {}),
    "times of a zone": (TIMES.tz_localize("+05:30"), {}),
    "times as categories": (TIMES, {"categorical": ["column"]}),
    "days": (pd.date_range("2024-01-01", periods=N_ROWS), {}),
    "days of a zone": (pd.date_range("2024-01-01", periods=N_ROWS, tz="UTC"), {}),
    "dates as categories": (pd.date_range("2024-01-01", periods=N_ROWS).date, {"categorical": ["column"]}),
    "lists": ([["a", "b"], ["b"], ["1"], []] * 20, {}),
    "lists of integers": ([[1, 2], [3], [2], []] * 20, {"multi_valued": ["column"]}),
    "separated text": (["a|b", "b", "1", None] * 20, {"multi_valued": ["column"]}),
    "vectors": ([[1.0, 2.5], [3.0, 1.0], [0.0, 1.0], []] * 20, {}),
    "histories": ([["a"], ["b", "1"], [], ["True"]] * 20, {"histories": {"column": "of"}}),
    "histories of integers": ([[1], [2, 3], [], [2]] * 20, {"histories": {"column": "of"}}),
}
ODD_VALUES = [
    *(None, np.nan, pd.NA, pd.NaT, np.datetime64("NaT"), decimal.Decimal("sNaN"), np.float32("inf"), -np.inf),
    *("", " ", "a", " a ", "A", "é", "a\0b", np.str_("a"), b"a", b"1", b"\xff", bytearray(b"a")),
    *("1", " 1 ", "1.0", "01", "+1", "-0", "1e0", "1.5", "1e400", "nan", "0x1", "1_0", "٣", "1" * 400),
    *("true", "True", " TRUE ", "a|b", "|", "a||b", "1|2", "01|2", "[1]", "['a']", "[1, 2]", "(1, 2)", "[]", "[a]"),
    *("2024-01-01", "2024-01-01T05:00", "2024-01-01T05:00Z", "2024-01-01 05+0530", "2024-01", "2024", "2024/1/5"),
    *("20240101T050000.5", "2024-W01-1", "2024-13-01", "now", "05.12.2024", "12:30", "2024-01-01T24:00", "-2024-01-01"),
    *("2024-01-01T05:00+5", "2024-01-01 05:00:00.123456789", "2024-01-01T05:00:00,5", "2024-01-01_05:00"),
    *(0, 1, -1, True, np.False_, Colour.RED, 1.0, 1.5, -0.0, 2.0**53, 2.0**53 + 2, 2.0**63, 1e300, np.float16(1)),
    *(2**53 + 1, 2**60 + 1, 2**63, -(2**63) - 1, 2**64, 10**400, np.uint8(1), np.longdouble(1.5)),
    *(decimal.Decimal(1), decimal.Decimal("1.5"), decimal.Decimal("1E+100"), fractions.Fraction(1, 2), 1 + 0j),
    *(uuid.UUID(int=1), datetime.time(5), datetime.timedelta(seconds=1), np.timedelta64(1, "ns"), pd.Timedelta("1D")),
    *(datetime.datetime(2024, 1, 1, 5), datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), datetime.date(2024, 1, 1)),
    *(pd.Timestamp("2024-01-01 05:00:00.123456789"), np.datetime64("2024-01-01T07:00"), pd.Period("2024-01")),
    *([], [None], ["a"], ["a", "b"], [" a "], ["a|b"], ["a", None], ["a", np.nan], ["1"], ["01"], ("b",), [b"a"]),
    *([1], [1, 2], [1.0], [1.5], [1, None], [1.0, np.nan], [1.0, 2.0], [2.0, 1], [1, 2, 3], [2**63], [2**60, 1.5]),
    *([True], [1, "a"], [[1]], [np.inf, 1.0], [decimal.Decimal(1)], [uuid.UUID(int=1)], [datetime.date(2024, 1, 1)]),
    *(np.array([1, 2]), np.array([1.0, 2.0]), np.array([[1.0, 2.0]]), np.array(1), {}, {1}, range(3), object(), int),
]


def answer(encode, value):
    """The codes of a value, or None where it is refused."""
    try:
        return encode(value)
    except (TypeError, ValueError):
        return None


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", COLUMNS)
def test_one_rule_for_pipeline_and_predictor(kind):
    values, parameters = COLUMNS[kind]
    of = [1, 2, 3, 0] if kind.endswith("integers") else ["a", "b", "1", "True"]
    X = pd.DataFrame({"column": list(values), "of": of * (N_ROWS // 4)})
    encoder = CTREncoder(**parameters)
    if "histories" in parameters:
        encoder.set_params(categorical=["of"])
    exported = export(encoder.fit(X))
    session = make_session(exported.model.SerializeToString())
    column, of_column = exported.inputs

    def by_pipeline(value):
        rows = X[:1].assign(column=pd.Series([value], dtype=object))
        return encoder.transform(rows).to_numpy()[0].tolist()

    def by_predictor(value):
        feed = {"column": column.tensor([value]), "of": of_column.tensor(of[:1])}
        return np.hstack(session.run(None, feed))[0].tolist()

    odd = [value for value in ODD_VALUES if answer(by_pipeline, value) != pytest.approx(answer(by_predictor, value))]
    assert not odd
