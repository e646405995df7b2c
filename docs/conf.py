"""Sphinx configuration: `make docs` builds the whole site, `make docs-quick` all but the gallery's figures."""

import importlib
import os
import pkgutil
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx import addnodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.writers.html5 import HTML5Translator
from sphinx_gallery.sorting import ExplicitOrder

import sk_finalmlp

project = "sk_finalmlp"
author = "The sk_finalmlp developers"
copyright = f"2026, {author}"
version = release = sk_finalmlp.__version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_inventories", "_templates"]

# Single backticks name Python objects, in docstrings and pages alike; what isn't one of ours is shown as code.
default_role = "py:obj"
nitpick_ignore_regex = [("py:obj", ".*")]
# In docstrings that methods inherit from torch.
nitpick_ignore = [("py:class", "Module")]

toc_object_entries_show_parents = "hide"
# The docstrings say the types, more readably than the signatures.
autodoc_typehints = "none"
autodoc_member_order = "groupwise"
autosummary_generate = True
numpydoc_show_class_members = False

# Inventories with the few names that the pages refer to: the site builds the same without a network.
_NEIGHBOURS = {
    "joblib": "https://joblib.readthedocs.io/en/stable/",
    "numpy": "https://numpy.org/doc/stable/",
    "pandas": "https://pandas.pydata.org/docs/",
    "python": "https://docs.python.org/3/",
    "scipy": "https://docs.scipy.org/doc/scipy/",
    "sklearn": "https://scikit-learn.org/stable/",
    "torch": "https://docs.pytorch.org/docs/stable/",
}
intersphinx_mapping = {name: (address, f"_inventories/{name}.inv") for name, address in _NEIGHBOURS.items()}

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

plot_formats = [("png", 150)]
plot_html_show_formats = plot_html_show_source_link = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# The scripts run in a process of this environment: one thread is faster than several beside other busy processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
_EXAMPLES = {
    "First steps": ["quickstart", "encoder_report", "calibration", "field_importance"],
    "Better scores": ["boosted_trees", "grid_search", "imbalance"],
    "Special data": ["history", "new_items", "item_embeddings", "two_labels"],
    "Updates and service": ["stream", "web_service"],
    "Research": ["streams", "dual_mlp_streams", "number_of_heads", "gate_context", "custom_network"],
}
_EXAMPLE_FILES = [f"plot_{name}.py" for names in _EXAMPLES.values() for name in names]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"^(?!plot_)",
    "within_subsection_order": ExplicitOrder(_EXAMPLE_FILES),
    "backreferences_dir": "api/backreferences",
    "doc_module": ("sk_finalmlp",),
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1,
    "abort_on_example_error": False,
}

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "sk_finalmlp"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
# What `docs/scoring_page.py` writes for the page that scores in the browser; that page says so where it wasn't run.
if tags.has("browser"):  # noqa: F821 - Sphinx defines it
    html_static_path.append("../build/browser")
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}
html_theme_options: dict[str, Any] = {
    "logo": {"text": "sk_finalmlp", "image_light": "_static/logo.svg", "image_dark": "_static/logo.svg"},
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
# Pages without pages below them need no list of those.
_PAGES_ALONE = [path.stem for path in Path(__file__).parent.glob("*.*") if path.suffix in (".md", ".rst")]
html_sidebars = {page: [] for page in _PAGES_ALONE}
html_show_sourcelink = False

_PACKAGES = [package.name for package in pkgutil.iter_modules(sk_finalmlp.__path__) if not package.name.startswith("_")]
_PUBLIC_NAMES = {name for package in _PACKAGES for name in importlib.import_module(f"sk_finalmlp.{package}").__all__}


def _resolve_short_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.Element
) -> nodes.reference | None:
    """Link `FinalMLPClassifier` or `nn.Gate.forward`, wherever it stands, to the one place where it is documented."""
    parts = node.get("reftarget", "").split(".")
    public = next((position for position, part in enumerate(parts) if part in _PUBLIC_NAMES), None)
    if node.get("refdomain") != "py" or public is None:
        return None
    ending = "." + ".".join(parts[public:])
    domain = env.domains.python_domain
    # An alias is the private module in which a name is defined.
    matches = [name for name, entry in domain.objects.items() if name.endswith(ending) and not entry.aliased]
    if len(matches) != 1:
        return None
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", matches[0], node, contnode)


def _group_examples(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put a heading above the first example of each group."""
    if docname != "auto_examples/index":
        return
    start = '.. raw:: html\n\n    <div class="sphx-glr-'
    head, *examples = source[0].split(f'{start}thumbcontainer"')
    for title, names in _EXAMPLES.items():
        group, examples = examples[: len(names)], examples[len(names) :]
        head += f'.. raw:: html\n\n    </div>\n\n{title}\n{"-" * len(title)}\n\n{start}thumbnails">\n\n'
        head += "".join(f'{start}thumbcontainer"{example}' for example in group)
    source[0] = head


# The first parameter of each group, and what the group is called.
_PARAMETER_GROUPS = {
    "CTREncoder": {
        "categorical": "Columns",
        "min_frequency": "Codes and numbers",
        "crosses": "Statistics",
        "random_state": "Machine",
    },
    "FinalMLPClassifier": {
        "stream1": "Network",
        "embedding_regularizer": "Regularisation",
        "schedule": "Training",
        "early_stopping": "Validation",
        "categorical_features": "Data",
        "random_state": "Machine",
    },
}


def _shorten_signature(app: Sphinx, what: str, name: str, *rest: Any) -> tuple[str, str] | None:
    """Leave the parameters that are listed by group out of the signature."""
    return ("(...)", "") if name.rpartition(".")[2] in _PARAMETER_GROUPS else None


def _group_parameters(app: Sphinx, domain: str, objtype: str, content: addnodes.desc_content) -> None:
    """Fold the parameters of a class by group, each under the names of its parameters."""
    titles = _PARAMETER_GROUPS.get(content.parent[0].get("fullname", "")) if objtype == "class" else None
    if titles is None:
        return
    parameters = next(field[1] for field in content.findall(nodes.field) if field[0].astext() == "Parameters")
    title, groups = "", {}
    for item in parameters[0]:
        title = titles.get(_names(item)[0], title)
        groups.setdefault(title, []).append(item)
    parameters[:] = [node for title, items in groups.items() for node in _folded(title, items)]


def _names(item: nodes.definition_list_item) -> list[str]:
    return item[0].astext().split(", ")


def _folded(title: str, items: list[nodes.definition_list_item]) -> list[nodes.Node]:
    names = ", ".join(f"<code>{name}</code>" for item in items for name in _names(item))
    head = f"<details class='parameters'><summary><b>{title}</b> {names}</summary>"
    return [
        nodes.raw("", head, format="html"),
        nodes.definition_list("", *items),
        nodes.raw("", "</details>", format="html"),
    ]


def _visit_inline_math(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _visit_displayed_math(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    # Browsers draw MathML by themselves: formulas need no script from elsewhere.
    app.add_html_math_renderer("mathml", (_visit_inline_math, None), (_visit_displayed_math, None))
    app.connect("source-read", _group_examples)
    app.connect("missing-reference", _resolve_short_name)
    app.connect("autodoc-process-signature", _shorten_signature)
    app.connect("object-description-transform", _group_parameters)
