"""A fitted model in a server: one file from raw values to probabilities, and fast answers to plain dicts."""

from ._predictor import Predictor, make_predictor
from ._to_onnx import to_onnx

__all__ = ["Predictor", "make_predictor", "to_onnx"]
