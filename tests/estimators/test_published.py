"""The published configurations: parameter totals, and that they train."""

import inspect

import numpy as np
import pytest
import torch

from sk_finalmlp import FinalMLPClassifier, published_configs
from sk_finalmlp.nn import Stream, TwoStreamNetwork
from sk_finalmlp.schema import Field
from sk_finalmlp.streams import FM, MLP, Product, without_auto


def split_vocabulary(n_codes, n_fields, **fixed):
    """Categorical fields with `n_codes` table rows in all: those of `fixed`, and the rest by equal parts."""
    n_others = n_fields - len(fixed)
    rest = n_codes - sum(fixed.values())
    sizes = [rest // n_others + (position < rest % n_others) for position in range(n_others)]
    named = {**fixed, **{f"C{position}_": size for position, size in enumerate(sizes)}}
    return [Field(name, "categorical", n_codes=size) for name, size in named.items()]


CRITEO_NUMERIC = [Field(f"I{position}", "numeric") for position in range(1, 14)]

# Fields and published total of FinalMLP.
FINALMLP = {
    "finalmlp_criteo_x1": ([*CRITEO_NUMERIC, *split_vocabulary(2_086_329, 26, C6=23)], 22_478_162),
    "finalmlp_criteo_x4": (split_vocabulary(910_747, 39), 19_524_954),
    "finalmlp_avazu_x1": (split_vocabulary(1_298_621, 22), 13_979_472),
    "finalmlp_avazu_x4": (split_vocabulary(3_750_999, 24), 69_046_986),
    "finalmlp_frappe": (split_vocabulary(5_399, 10, user=956, item=4_084), 253_392),
    "finalmlp_movielens": (split_vocabulary(90_242, 3), 1_040_902),
}
# The totals of the published logs of the others. FinalNet's were made with a row more for each field.
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
    if name in FINALMLP:
        return FINALMLP[name][0]
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
            parameters[stream] = without_auto(parameters[stream], parameters["fusion"], 0.2)
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
    assert {*FINALMLP, *TOTALS} == published_configs.keys()


@pytest.mark.parametrize("name", published_configs)
def test_parameter_totals_are_the_published_ones(name):
    total = FINALMLP[name][1] if name in FINALMLP else TOTALS[name]
    assert published_size(network(name, **published_configs[name])) == total


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


@pytest.mark.parametrize("name", published_configs)
def test_a_configuration_sets_every_parameter_of_the_model(name, parameters_of_the_run):
    assert FinalMLPClassifier().get_params(deep=False).keys() - published_configs[name].keys() == parameters_of_the_run


def test_a_configuration_trains_the_single_published_network():
    X, y = [[0, 1], [1, 0], [2, 1], [3, 0]] * 50, [0, 1, 1, 0] * 50
    classifier = FinalMLPClassifier(**{**published_configs["finalmlp_avazu_x4"], "max_epochs": 1}, random_state=0).fit(
        X, y
    )
    assert [layer.out_features for layer in classifier.network_.stream1 if hasattr(layer, "out_features")] == [2000] * 3


@pytest.mark.parametrize("name", ["autoint_plus_frappe", "finalnet_2b_frappe", "masknet_frappe", "xdeepfm_frappe"])
def test_a_configuration_trains(name):
    X = np.random.default_rng(0).integers(0, 9, (300, 3))
    classifier = FinalMLPClassifier(**{**published_configs[name], "max_epochs": 1}, random_state=0)
    assert np.isfinite(classifier.fit(X, X.sum(axis=1) % 2).predict_proba(X)).all()


def test_configurations_can_not_be_changed_by_accident():
    with pytest.raises(TypeError):
        published_configs["dcnv2_frappe"]["fusion"] = "sum"
    FinalMLPClassifier(**published_configs["dcnv2_frappe"]).set_params(stream2__n_layers=7)
    assert published_configs["dcnv2_frappe"]["stream2"].n_layers == 4


def test_only_avazu_x4_stops_at_the_first_epoch_without_improvement():
    # As in the logs of the published runs.
    assert {name for name, config in published_configs.items() if config["n_iter_no_change"] == 1} == {
        "finalmlp_avazu_x4"
    }
