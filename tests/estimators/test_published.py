"""The published configurations as parameters of the classifier."""

import pytest

from sk_finalmlp import FinalMLPClassifier, finalmlp_configs


@pytest.mark.parametrize("name", finalmlp_configs)
def test_a_configuration_sets_every_parameter_of_the_model(name, parameters_of_the_run):
    assert FinalMLPClassifier().get_params().keys() - finalmlp_configs[name].keys() == parameters_of_the_run


def test_a_configuration_trains_the_single_published_network():
    X, y = [[0, 1], [1, 0], [2, 1], [3, 0]] * 50, [0, 1, 1, 0] * 50
    classifier = FinalMLPClassifier(**{**finalmlp_configs["avazu_x4"], "max_epochs": 1}, random_state=0).fit(X, y)
    assert [layer.out_features for layer in classifier.network_.mlp1 if hasattr(layer, "out_features")] == [2000] * 3


def test_configurations_cannot_be_changed_by_accident():
    with pytest.raises(TypeError):
        finalmlp_configs["frappe"]["num_heads"] = 1


def test_only_avazu_x4_stops_at_the_first_epoch_without_improvement():
    # As in the logs of the published runs.
    assert {name for name, config in finalmlp_configs.items() if config["n_iter_no_change"] == 1} == {"avazu_x4"}
