"""An encoder that takes in more rows."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_finalmlp import CTREncoder


def table(values, name="user"):
    return pd.DataFrame({name: list(values)})


def encoder(**parameters):
    return CTREncoder(categorical=[0], **parameters)


class TestVocabulary:
    def test_keeps_old_codes_and_appends_new_ones_by_frequency(self):
        enc = encoder().fit(table("bba"))
        assert enc.partial_fit_transform(table("zccay"))["user"].tolist() == [5, 3, 3, 2, 4]
        assert enc.categories_["user"].tolist() == ["b", "a", "c", "y", "z"]
        assert enc.cardinalities_ == {"user": 6}
        assert enc.feature_kinds_.loc["user", "n_codes"] == 6

    def test_counts_across_days_before_it_admits(self):
        enc = encoder(min_frequency=3).fit(table("aaabbc"))
        assert enc.partial_fit_transform(table("cd"))["user"].tolist() == [0, 0]
        assert enc.partial_fit_transform(table("bddc"))["user"].tolist() == [2, 4, 4, 3]
        assert enc.transform(table("abcd"))["user"].tolist() == [1, 2, 3, 4]

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=8), min_size=2, max_size=4), st.integers(1, 3))
    def test_does_not_depend_on_order_or_number_of_calls(self, parts, min_frequency):
        split, whole = encoder(min_frequency=min_frequency), encoder(min_frequency=min_frequency)
        for part in parts:
            split.partial_fit(table(part))
        last = parts[-1]
        whole.fit(table(parts[0]))
        for part in parts[1:-1]:
            whole.partial_fit(table(part[::-1]))
        whole.partial_fit(table(last))
        assert split.categories_["user"].tolist() == whole.categories_["user"].tolist()
        at_once = encoder(min_frequency=min_frequency).fit(table(parts[0]))
        at_once.partial_fit(table([value for part in parts[1:] for value in part]))
        assert set(split.categories_["user"]) == set(at_once.categories_["user"])

    def test_of_many_values_is_the_same_after_a_pickle(self):
        enc = encoder().fit(table(f"user {number}" for number in range(12_000)))
        enc.transform(table(["user 1"]))
        for day in range(3):
            rows = table([f"user {number}" for number in range(11_990 + 20 * day, 12_020 + 20 * day)])
            codes = enc.partial_fit_transform(rows)["user"]
            assert (codes > 0).all()
            assert codes.is_unique
            assert enc.transform(rows)["user"].equals(codes)
            assert pickle.loads(pickle.dumps(enc)).transform(rows)["user"].equals(codes)

    def test_with_a_limit_lets_the_rarest_go(self):
        enc = encoder(max_categories=2, decay=0.5).fit(table("aaaaab"))
        assert enc.partial_fit_transform(table("ccc"))["user"].tolist() == [2, 2, 2]
        assert enc.categories_["user"].tolist() == ["a", "c"]
        # a came 5 times two days ago, c 3 times yesterday.
        enc.partial_fit(table("dd"))
        assert enc.categories_["user"].tolist() == ["d", "c"]

    def test_rows_without_weight_do_not_count(self):
        enc = encoder().fit(table("ab"))
        assert enc.partial_fit_transform(table("cd"), sample_weight=[0, 1])["user"].tolist() == [0, 3]

    def test_of_lists_datetimes_and_buckets_grows_too(self):
        X = pd.DataFrame(
            {
                "tags": [["a"], ["a", "b"], ["b"]],
                "time": pd.to_datetime(["2024-01-01 01:00", "2024-01-01 02:00", "2024-01-01 03:00"]),
                "price": [0.5, 1.5, 4.5],
            }
        )
        enc = CTREncoder(numeric="price", numeric_encoding="log", datetime_parts=["hour"]).fit(X)
        later = X.assign(tags=[["c"], ["a", "c", "b"], []], time=X["time"] + pd.Timedelta(hours=5), price=100.0)
        encoded = enc.partial_fit_transform(later)
        assert encoded.drop(columns="tags@1").iloc[0].tolist() == [3, 4, 4]
        assert encoded[["tags@0", "tags@1"]].iloc[1].tolist() == [1, 3]

    def test_of_hash_buckets_and_numbers_stays(self):
        X = pd.DataFrame({"user": list("abcd"), "price": [1.5, 2.5, 3.5, 9.5]})
        enc = CTREncoder(n_hash_buckets=10, crosses=None).fit(X)
        later = pd.DataFrame({"user": list("xyz"), "price": [100.5, -100.5, 2.0]})
        before = enc.transform(later)
        assert enc.partial_fit_transform(later).equals(before)


class TestStatistics:
    def fit(self, **parameters):
        X = pd.DataFrame({"user": list("aabb") * 5, "item": list("xyxy") * 5})
        y = np.array([1, 0, 0, 0] * 5)
        return CTREncoder(statistics=["user", ("user", "item")], **parameters).fit(X, y)

    def test_of_the_day_do_not_know_its_labels(self):
        enc = self.fit()
        X = pd.DataFrame({"user": list("abc"), "item": list("xyx")})
        before = enc.transform(X)
        for y in ([1, 0, 1], [0, 1, 0]):
            day = pickle.loads(pickle.dumps(enc)).partial_fit_transform(X, y)
            assert day.drop(columns="user").equals(before.drop(columns="user"))

    def test_take_the_labels_in(self):
        enc = self.fit()
        X = pd.DataFrame({"user": list("aa"), "item": list("zz")})
        before = enc.transform(X)
        after = enc.partial_fit(X, [1, 1]).transform(X)
        assert after["user@rate"][0] > before["user@rate"][0]
        assert after["user & item@rate"][0] > before["user & item@rate"][0]
        assert after["user & item@count"][0] > before["user & item@count"][0]

    def test_without_decay_are_those_of_all_rows(self):
        # Both have learned how to standardise from other rows, so that only the order can be compared.
        X = pd.DataFrame({"user": list("aabb") * 5, "item": list("xyxy") * 5})
        more = pd.DataFrame({"user": list("cacb"), "item": list("xxyz")})
        enc = self.fit(decay=1.0).partial_fit(more, [1, 0, 1, 1])
        both = CTREncoder(statistics=["user", ("user", "item")]).fit(
            pd.concat([X, more], ignore_index=True), [*([1, 0, 0, 0] * 5), 1, 0, 1, 1]
        )
        keys = pd.DataFrame({"user": list("aabbcc"), "item": list("xyxzxy")})
        for name in ("user@rate", "user & item@rate", "user & item@count"):
            one, other = enc.transform(keys)[name], both.transform(keys)[name]
            slope, _ = np.polyfit(one, other, 1)
            np.testing.assert_allclose(np.corrcoef(one, other)[0, 1], 1, atol=1e-3 if "rate" in name else 1e-6)
            assert slope > 0

    def test_of_old_rows_fade_where_new_rows_come(self):
        X = pd.DataFrame({"user": list("aa"), "item": list("xx")})
        old, young = self.fit(decay=1.0).partial_fit(X, [0, 0]), self.fit(decay=0.1).partial_fit(X, [0, 0])
        assert young.transform(X)["user@rate"][0] < old.transform(X)["user@rate"][0]

    def test_survive_growth_far_beyond_the_first_codes(self):
        enc = self.fit(crosses=[("user", "item")])
        known = pd.DataFrame({"user": list("aabb"), "item": list("xyxy")})
        before = enc.transform(known)
        rng = np.random.default_rng(0)
        for day in range(3):
            names = [f"{day}-{number}" for number in range(40)]
            X = pd.DataFrame({"user": rng.choice(names, 100), "item": rng.choice(names, 100)})
            encoded = enc.partial_fit_transform(X, rng.integers(0, 2, 100))
            assert (encoded[["user", "item", "user & item"]] > 0).all().all()
        columns = [name for name in before if not name.endswith("@rate") or "&" in name]
        assert enc.transform(known)[columns].equals(before[columns])
        assert enc.transform(X)["user & item"].equals(encoded["user & item"])

    def test_of_a_code_that_changes_hands_begin_anew(self):
        X = pd.DataFrame({"user": list("aaab"), "item": list("xxyy")})
        enc = CTREncoder(max_categories=2, decay=0.1, statistics=["user", ("user", "item")], crosses=[("user", "item")])
        enc.fit(pd.concat([X] * 5), [1, 1, 1, 0] * 5)
        nobody = enc.transform(pd.DataFrame({"user": ["c"], "item": ["x"]}))
        day = enc.partial_fit_transform(pd.DataFrame({"user": ["c"] * 8, "item": ["x"] * 8}), [0] * 8)
        assert day["user"].tolist() == [2] * 8
        assert (day["user & item"] > 0).all()
        statistics = [name for name in day if name.startswith("user & ") and name.endswith("@count")]
        assert (day[statistics].iloc[0] <= nobody[statistics].iloc[0]).all()

    def test_of_the_only_code_change_hands(self):
        enc = CTREncoder(max_categories=1, statistics=["user"]).fit(table("a" * 10), [0, 1] * 5)
        day = enc.partial_fit_transform(table("c" * 30), [0, 1] * 15)
        assert day["user"].tolist() == [1] * 30
        assert np.isfinite(day["user@rate"]).all()

    def test_need_known_labels(self):
        X = pd.DataFrame({"user": ["a"], "item": ["x"]})
        with pytest.raises(ValueError, match="Statistics take in the labels of new rows, but there is no y"):
            self.fit().partial_fit(X)
        with pytest.raises(ValueError, match=r"y has labels that fit didn't see, \[7\]; it saw "):
            self.fit().partial_fit(X, [7])


class TestContract:
    def test_first_call_is_a_fit(self):
        X = pd.DataFrame({"user": list("aabb") * 5})
        y = [1, 0, 0, 0] * 5
        one, other = CTREncoder(statistics=["user"]), CTREncoder(statistics=["user"])
        assert one.partial_fit_transform(X, y).equals(other.fit_transform(X, y))
        assert CTREncoder(statistics=["user"]).partial_fit(X, y).transform(X).equals(other.transform(X))

    def test_an_error_changes_nothing(self):
        enc = CTREncoder(numeric=["price"]).fit(pd.DataFrame({"user": list("ab"), "price": [1.0, 2.0]}))
        before = pickle.dumps(enc)
        with pytest.raises(ValueError, match="'price'"):
            enc.partial_fit(pd.DataFrame({"user": list("cd"), "price": ["1", "much"]}))
        assert pickle.dumps(enc) == before

    @pytest.mark.parametrize("known", [[None, None], ["a|b", "b"]], ids=["nothing", "text"])
    def test_lists_where_fit_saw_text_or_nothing_are_learned(self, known):
        enc = CTREncoder(multi_valued=["tags"]).fit(pd.DataFrame({"tags": known}))
        enc.partial_fit(pd.DataFrame({"tags": [["c", "d"], ["d"]]}))
        assert enc.transform(pd.DataFrame({"tags": [["d", "c"], None]})).equals(
            enc.transform(pd.DataFrame({"tags": ["d|c", None]}))
        )
        assert enc.transform(pd.DataFrame({"tags": [["d"]]})).max(axis=None) > 0

    def test_codes_that_change_hands_need_a_table_that_says_so(self):
        enc = CTREncoder(max_categories=1, decay=0.1).fit([["a"], ["a"]])
        with pytest.raises(ValueError, match=r"max_categories=1 makes codes of \['x0'\] stand for other values"):
            enc.partial_fit([["b"], ["b"]])
        assert enc.transform([["a"], ["b"]]).tolist() == [[1], [0]]


def test_a_cross_of_nearly_as_many_combinations_as_can_be_counted_grows():
    values = np.arange(50_000)
    X = pd.DataFrame(dict.fromkeys("abcd", values))
    encoder = CTREncoder(categorical=list("abcd"), crosses=[tuple("abcd")], statistics=None).fit(X)
    code = encoder.transform(X[:1])["a & b & c & d"].item()
    new = pd.DataFrame({"a": [-1], "b": [0], "c": [0], "d": [0]})
    assert encoder.partial_fit_transform(new)["a & b & c & d"].tolist() == [50_001]
    assert encoder.transform(X[:1])["a & b & c & d"].item() == code
