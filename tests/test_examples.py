"""Each example of the gallery compiles and has a title; building the documentation runs them."""

import ast
from pathlib import Path

import pytest

GALLERY = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_example_compiles_and_has_a_title(path):
    tree = ast.parse(path.read_text(encoding="utf-8"), path)
    compile(tree, path, "exec")
    title, underline = ast.get_docstring(tree).splitlines()[:2]
    assert underline == "=" * len(title)
