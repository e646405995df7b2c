"""What the classifiers have in common is documented alike."""

import re

import pytest

from sk_finalmlp import DualMLPClassifier, FinalMLPClassifier, FunnelClassifier, TwoStreamClassifier


def parameters(classifier):
    """Text of each documented parameter, by the line that names it."""
    section = classifier.__doc__.split("Parameters\n    ----------\n")[1].split("\n    Attributes\n")[0]
    entries = re.split(r"^    (?=\S)", section, flags=re.MULTILINE)[1:]
    return dict(entry.split("\n", 1) for entry in entries)


@pytest.mark.parametrize("other", [DualMLPClassifier, TwoStreamClassifier, FunnelClassifier])
def test_shared_parameters_have_one_text(other):
    of_finalmlp, of_other = parameters(FinalMLPClassifier), parameters(other)
    # Only one of the two always has the fusion that heads belong to.
    shared = of_finalmlp.keys() & of_other.keys() - {"num_heads : int, default=8"}
    assert len(shared) > 20
    assert {line: of_other[line] for line in shared} == {line: of_finalmlp[line] for line in shared}
