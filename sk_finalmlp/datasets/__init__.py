"""Click data for examples, tests and benchmarks: real impressions by download, synthetic ones by seed."""

from ._click_data import make_click_data, make_funnel_data
from ._movielens import fetch_movielens_100k

__all__ = ["fetch_movielens_100k", "make_click_data", "make_funnel_data"]
