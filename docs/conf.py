"""Sphinx configuration: `make docs` builds the whole site, `make docs-quick` all but the gallery's figures."""

import importlib
import os
import pkgutil
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import sk_finalmlp

project = "sk_finalmlp"
author = "The sk_finalmlp developers"
copyright = f"2026, {author}"
version = release = sk_finalmlp.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_inventories", "_templates"]

# Single backticks name Python objects, in docstrings and pages alike; what isn't one of ours is shown as code.
default_role = "py:obj"
nitpick_ignore_regex = [("py:obj", ".*")]

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

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# The scripts run in a process of this environment: one thread is faster than several beside other busy processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"^(?!plot_)",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "api/backreferences",
    "doc_module": ("sk_finalmlp",),
    "reference_url": {"sk_finalmlp": None},
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1,
    "abort_on_example_error": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "sk_finalmlp"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options: dict[str, Any] = {
    "logo": {"text": "sk_finalmlp", "image_light": "_static/logo.svg", "image_dark": "_static/logo.svg"},
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
# Pages without pages below them need no list of those.
html_sidebars = {page: [] for page in ("install", "inside", "accuracy", "performance", "changelog", "contributing")}
html_show_sourcelink = False

_ROOMS = [room.name for room in pkgutil.iter_modules(sk_finalmlp.__path__) if not room.name.startswith("_")]
_PUBLIC_NAMES = {name for room in _ROOMS for name in importlib.import_module(f"sk_finalmlp.{room}").__all__}


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


def setup(app: Sphinx) -> None:
    app.connect("missing-reference", _resolve_short_name)
