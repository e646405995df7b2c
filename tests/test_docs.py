"""The code of README and documentation runs, and the API reference holds all that is public."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers import markdown, rest

import sk_finalmlp
from sk_finalmlp import datasets

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GENERATED = {"auto_examples", "backreferences", "generated"}
PARSERS = {
    ".md": [markdown.PythonCodeBlockParser(), markdown.SkipParser()],
    ".rst": [rest.DocTestParser(), rest.PythonCodeBlockParser(), rest.SkipParser()],
}
ROOMS = [room.name for room in pkgutil.iter_modules(sk_finalmlp.__path__) if not room.name.startswith("_")]


def pages():
    written = [path for path in DOCS.rglob("*") if GENERATED.isdisjoint(path.relative_to(DOCS).parts)]
    return [ROOT / "README.md", *sorted(path for path in written if path.suffix in PARSERS)]


def pages_with_code():
    """Each page with Python code, marked where its data must be downloaded."""
    for path in pages():
        examples = list(Sybil(PARSERS[path.suffix]).parse(path).examples())
        if examples:
            downloads = "fetch_movielens_100k" in path.read_text(encoding="utf-8")
            marks = [pytest.mark.network] if downloads else []
            yield pytest.param(examples, id=str(path.relative_to(ROOT)), marks=marks)


@pytest.fixture
def few_ratings(monkeypatch):
    """To train on all ratings takes minutes; a part of them shows as well that the code runs."""
    fetch = datasets.fetch_movielens_100k

    def fetch_few(**options):
        assert options == {"return_X_y": True}
        X, y = fetch(**options)
        return X[:2_000], y[:2_000]

    monkeypatch.setattr(datasets, "fetch_movielens_100k", fetch_few)


@pytest.mark.parametrize("examples", list(pages_with_code()))
def test_code_of_the_page_runs_from_top_to_bottom(examples, few_ratings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for example in examples:
        example.evaluate()


def test_each_make_target_of_the_pages_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    texts = [path.read_text(encoding="utf-8") for path in [*pages(), ROOT / "CONTRIBUTING.md"]]
    named = {name for text in texts for name in re.findall(r"(?:^|`|\$ )make ([a-z-]+)", text, re.MULTILINE)}
    assert named
    assert named <= targets


def public_names():
    modules = [sk_finalmlp, *(importlib.import_module(f"sk_finalmlp.{room}") for room in ROOMS)]
    return sorted({name for module in modules for name in module.__all__} - {"__version__"})


@pytest.fixture(scope="module")
def reference():
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((DOCS / "api").glob("*.rst")))


@pytest.mark.parametrize("name", public_names())
def test_public_name_is_in_the_reference(name, reference):
    assert re.search(rf"^(   |\.\. py:data:: ){name}$", reference, re.MULTILINE)
