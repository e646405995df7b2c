"""The published models of the two-stream family: parameter totals, and that each trains."""

import inspect

import numpy as np
import pytest
import torch

from sk_finalmlp import TwoStreamClassifier, two_stream_configs
from sk_finalmlp.nn import Stream, TwoStreamNetwork
from sk_finalmlp.schema import Field
from sk_finalmlp.streams import FM, MLP, Product, as_stream

# The totals of the published logs. FinalNet's were made with a row more for each field.
TOTALS = {
    "autoint_frappe": 306_051,
    "autoint_movielens": 1_047_798,
    "autoint_plus_frappe": 622_180,
    "autoint_plus_movielens": 1_383_799,
    "cin_frappe": 147_984,
    "cin_movielens": 1_002_390,
    "crossnetv2_frappe": 94_391,
    "dcn_frappe": 418_591,
    "dcnv2_frappe": 458_391,
    "dcnv2_movielens": 1_243_071,
    "finalnet_1b_frappe": 256_791,
    "finalnet_1b_movielens": 916_021,
    "finalnet_2b_frappe": 338_502,
    "finalnet_2b_movielens": 1_106_234,
    "masknet_frappe": 571_691,
    "masknet_movielens": 2_624_541,
    "nfm_frappe": 384_880,
    "xdeepfm_frappe": 429_809,
    "xdeepfm_movielens": 1_351_767,
}


def fields_of(name):
    n_fields, n_codes = (10, 5_389) if name.endswith("frappe") else (3, 90_239)
    if name.startswith("finalnet"):
        n_codes += n_fields
    sizes = [n_codes // n_fields + (position < n_codes % n_fields) for position in range(n_fields)]
    return [Field(f"field {position}", "categorical", n_codes=size) for position, size in enumerate(sizes)]


def network(name, **parameters):
    of_network = inspect.signature(TwoStreamNetwork).parameters
    parameters = {key: value for key, value in parameters.items() if key in of_network}
    for stream in ("stream1", "stream2"):
        if parameters[stream] is not None:
            parameters[stream] = as_stream(parameters[stream], parameters["fusion"])
    with torch.device("meta"):
        return TwoStreamNetwork(fields_of(name), **parameters)


def published_size(network):
    """The reference keeps a bias before each batch norm of an MLP; our streams leave it out."""
    biases = sum(
        layer.out_features
        for stream in network.modules()
        if isinstance(stream, Stream)
        for layer in stream
        if getattr(layer, "bias", True) is None
    )
    return sum(parameter.numel() for parameter in network.parameters()) + biases


def test_every_configuration_has_its_total():
    assert TOTALS.keys() == two_stream_configs.keys()


@pytest.mark.parametrize("name", TOTALS)
def test_parameter_totals_are_the_published_ones(name):
    assert published_size(network(name, **two_stream_configs[name])) == TOTALS[name]


PLAIN = {"stream2": None, "fusion": "sum", "feature_selection": False}


@pytest.mark.parametrize(
    ("total", "parameters"),
    [
        pytest.param(433_491, {"stream1": Product(hidden_units=(400,) * 3, batch_norm=False)}, id="IPNN"),
        # Published without a weight for each element of the sum of products: one for all, 1, and no bias.
        pytest.param(59_280 + 10, {"stream1": FM(), "linear_term": True}, id="FM"),
        pytest.param(423_280 + 10 + 1, {"stream1": MLP((400,) * 3), "stream2": FM(), "linear_term": True}, id="DeepFM"),
    ],
)
def test_parameter_totals_of_other_models_on_frappe(total, parameters):
    assert published_size(network("frappe", **{**PLAIN, **parameters})) == total


@pytest.mark.parametrize("name", two_stream_configs)
def test_a_configuration_sets_every_parameter_of_the_model(name, parameters_of_the_run):
    assert (
        TwoStreamClassifier().get_params(deep=False).keys() - two_stream_configs[name].keys() == parameters_of_the_run
    )


@pytest.mark.parametrize("name", ["autoint_plus_frappe", "finalnet_2b_frappe", "masknet_frappe", "xdeepfm_frappe"])
def test_a_configuration_trains(name):
    X = np.random.default_rng(0).integers(0, 9, (300, 3))
    classifier = TwoStreamClassifier(**{**two_stream_configs[name], "max_epochs": 1}, random_state=0)
    assert np.isfinite(classifier.fit(X, X.sum(axis=1) % 2).predict_proba(X)).all()


def test_configurations_can_not_be_changed_by_accident():
    with pytest.raises(TypeError):
        two_stream_configs["dcnv2_frappe"]["fusion"] = "sum"
    TwoStreamClassifier(**two_stream_configs["dcnv2_frappe"]).set_params(stream2__n_layers=7)
    assert two_stream_configs["dcnv2_frappe"]["stream2"].n_layers == 4
