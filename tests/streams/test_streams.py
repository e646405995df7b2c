"""Streams as parameters: what they build, and how a search, a copy and an error see them."""

import pickle

import pytest
import torch
from sklearn.base import clone
from sklearn.utils._param_validation import InvalidParameterError

from sk_finalmlp import streams
from sk_finalmlp.streams import (
    CIN,
    FM,
    MLP,
    CrossNet,
    Final,
    MaskNet,
    Product,
    SelfAttention,
    as_stream,
    stream_names,
    without_auto,
)

CLASSES = [getattr(streams, name) for name in streams.__all__ if name[0].isupper()]


@pytest.mark.parametrize("name", stream_names())
@pytest.mark.parametrize(("fusion", "units"), [("bilinear", 128), ("product", 128), ("sum", None), ("concat", None)])
def test_a_short_name_stands_for_the_defaults_of_a_class(name, fusion, units):
    stream = without_auto(as_stream(name), fusion, dropout="auto")
    assert type(stream).__name__.lower() == name
    expected = type(stream)()
    # The others have a width of their own.
    if name in ("cin", "crossnet", "fm", "gatedcrossnet", "qnn", "selfattention"):
        expected.set_params(units=units)
    elif name == "product":
        expected.set_params(units=None)
    assert stream.get_params() == expected.get_params()


@pytest.mark.parametrize("stream_class", CLASSES)
@pytest.mark.parametrize(("n_fields", "n_statistics"), [(4, 0), (4, 2), (0, 2), (1, 0)])
def test_builds_a_module_of_the_width_that_it_says(stream_class, n_fields, n_statistics):
    stream = stream_class()
    module = stream.build(n_fields, 5, n_statistics, torch.Generator().manual_seed(0)).eval()
    x = torch.randn(7, n_fields * 5 + n_statistics)
    assert module(x).shape == (7, module.out_features)
    assert torch.isfinite(module(x)).all()


@pytest.mark.parametrize("stream", [stream() for stream in CLASSES if stream is not MLP], ids=repr)
def test_units_are_the_width_of_a_last_linear_map(stream):
    module = clone(stream).set_params(units=12).build(4, 5, 1)
    assert module.out_features == 12
    assert module(torch.randn(7, 21)).shape == (7, 12)


@pytest.mark.parametrize("stream_class", CLASSES)
def test_copies_have_the_same_parameters(stream_class):
    stream = stream_class()
    for copy in (clone(stream), pickle.loads(pickle.dumps(stream))):
        assert copy is not stream
        assert copy.get_params() == stream.get_params()


def test_a_stream_stays_as_it_is():
    stream = CrossNet()
    assert without_auto(stream, "bilinear", 0.1).units == 128
    assert stream.units == "auto"


def test_an_mlp_may_follow_products():
    assert FM(hidden_units=(32, 16)).build(4, 5, 0).out_features == 16
    assert Product(form="elementwise", hidden_units=()).build(4, 5, 0).out_features == 10 * 5


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (MLP(hidden_units=()), "'hidden_units' parameter of MLP must be the width of each layer"),
        (MLP(hidden_units=(3.5,)), "'hidden_units' parameter of MLP"),
        (CIN(hidden_units=(8, 0)), "'hidden_units' parameter of CIN"),
        (CrossNet(n_layers=0), "'n_layers' parameter of CrossNet"),
        (CrossNet(version="v3"), "'version' parameter of CrossNet"),
        (Final(dropout=1.0), "'dropout' parameter of Final"),
        (MaskNet(reduction_ratio=0), "'reduction_ratio' parameter of MaskNet"),
        (SelfAttention(units="all"), "'units' parameter of SelfAttention"),
    ],
    ids=repr,
)
def test_parameters_out_of_range(stream, message):
    with pytest.raises(InvalidParameterError, match=message):
        stream.build(4, 5, 0)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (CrossNet(n_experts=4), "n_experts=4 experts of a CrossNet need a rank"),
        (CrossNet(version="v1", rank=4), "version 'v1' has no matrices"),
        (SelfAttention(n_heads=3), "n_heads=3 doesn't divide attention_dim=32"),
    ],
    ids=repr,
)
def test_parameters_that_do_not_fit_each_other(stream, message):
    with pytest.raises(ValueError, match=message):
        stream.build(4, 5, 0)


def test_an_unknown_name_is_an_error():
    with pytest.raises(ValueError, match=r"no stream named 'deepfm'; there are \['cin', 'crossnet'"):
        as_stream("deepfm")
