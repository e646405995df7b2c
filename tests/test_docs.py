"""The code of README and documentation runs, and the API reference holds all that is public."""

import importlib
import inspect
import pkgutil
import re
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
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
    ".rst": [rest.DocTestParser(ELLIPSIS | NORMALIZE_WHITESPACE), rest.PythonCodeBlockParser(), rest.SkipParser()],
}
PACKAGES = [package.name for package in pkgutil.iter_modules(sk_finalmlp.__path__) if not package.name.startswith("_")]


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
def little_training(monkeypatch):
    """To train on all ratings takes minutes; a part of them, and two epochs, show as well that the code runs."""
    monkeypatch.setitem(sk_finalmlp.FinalMLPClassifier.__init__.__kwdefaults__, "max_epochs", 2)
    fetch = datasets.fetch_movielens_100k

    def fetch_few(**options):
        assert options == {"return_X_y": True}
        X, y = fetch(**options)
        return X[:2_000], y[:2_000]

    monkeypatch.setattr(datasets, "fetch_movielens_100k", fetch_few)


@pytest.mark.parametrize("examples", list(pages_with_code()))
def test_code_of_the_page_runs_from_top_to_bottom(examples, little_training, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for example in examples:
        example.evaluate()


def test_each_make_target_of_the_pages_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    texts = [path.read_text(encoding="utf-8") for path in [*pages(), ROOT / "CONTRIBUTING.md"]]
    named = {name for text in texts for name in re.findall(r"(?:^|`|\$ )make ([a-z-]+)", text, re.MULTILINE)}
    assert named
    assert named <= targets


def public_objects():
    modules = [importlib.import_module(f"sk_finalmlp.{package}") for package in PACKAGES]
    return {name: getattr(module, name) for module in modules for name in module.__all__}


@pytest.fixture(scope="module")
def reference():
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((DOCS / "api").glob("*.rst")))


@pytest.mark.parametrize(("name", "value"), public_objects().items())
def test_public_name_is_in_the_reference_with_an_example(name, value, reference):
    if inspect.isclass(value) or inspect.isfunction(value):
        assert re.search(rf"^   {name}$", reference, re.MULTILINE), "name is in no autosummary of docs/api/"
        assert ">>> " in (value.__doc__ or ""), "docstring has no example"
    else:
        entry = re.search(rf"^\.\. py:data:: {name}\n(.|\n(?=   |\n))*", reference, re.MULTILINE)
        assert entry, "name has no py:data in docs/api/"
        assert ">>> " in entry[0], "entry has no example"


def test_package_exports_what_its_modules_export():
    assert set(sk_finalmlp.__all__) - {"__version__"} <= set(public_objects())


def test_contributing_names_every_module():
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    modules = [
        path for path in (ROOT / "sk_finalmlp").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    ]
    missing = [path.name for path in modules if f"`{path.name}{'' if path.suffix else '/'}`" not in table]
    assert missing == []


def test_warnings_name_the_line_of_the_user():
    counted = [
        path for path in (ROOT / "sk_finalmlp").rglob("*.py") if "warnings.warn(" in path.read_text(encoding="utf-8")
    ]
    assert [path.name for path in counted] == ["_warnings.py"]


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/inside.rst"])
def test_what_a_page_about_the_inside_names_is_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    stems = {path.stem for path in (ROOT / "sk_finalmlp").rglob("*.py")} | {
        "_sources",
        "_part",
        "_parameter_constraints",
    }
    assert set(re.findall(r"`(?:\w+\.)*(_[a-z]\w*)(?:\.py|/)?`", text)) - stems == set()
    for package, name in re.findall(rf"`({'|'.join(PACKAGES)})\.([A-Za-z]\w+)`", text):
        assert name == "py" or hasattr(importlib.import_module(f"sk_finalmlp.{package}"), name), f"{package}.{name}"
