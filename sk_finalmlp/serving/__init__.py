"""Serving a fitted model: export to one ONNX file, from raw values to probabilities, and fast prediction for dicts."""

from ._predictor import Predictor, make_predictor
from ._to_onnx import to_onnx

__all__ = ["Predictor", "make_predictor", "to_onnx"]
