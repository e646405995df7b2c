"""Docstrings of the classifiers, parts of which are written once for all of them."""

import inspect
import re

import pytest

from sk_finalmlp import DualMLPClassifier, FinalMLPClassifier, TwoStreamClassifier

CLASSIFIERS = [DualMLPClassifier, FinalMLPClassifier, TwoStreamClassifier]


def names_in(section, cls):
    """What a section of the docstring describes, in its order."""
    text = inspect.getdoc(cls).split(f"{section}\n{'-' * len(section)}\n")[1].split("\n\n")[0]
    entries = re.findall(r"^(\w[\w, ]*) : ", text, re.MULTILINE)
    return [name for entry in entries for name in entry.split(", ")]


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_every_parameter_is_described_in_the_order_of_the_signature(cls):
    assert names_in("Parameters", cls) == list(inspect.signature(cls).parameters)


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_attributes_are_described(cls):
    assert {"classes_", "fields_", "history_", "network_", "table_reader_"} <= set(names_in("Attributes", cls))
    assert not re.search(r"^\s*<.*>$", cls.__doc__, re.MULTILINE)
