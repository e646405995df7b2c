"""Versions, addresses and links agree wherever they are named."""

import re
import tomllib
from pathlib import Path

import sk_finalmlp

ROOT = Path(__file__).parents[1]
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = CONFIGURATION["project"]


def test_lowest_versions_in_the_documentation():
    rows = re.findall(r"^   ([a-z-]+), ([0-9.]+)$", (ROOT / "docs/install.rst").read_text(encoding="utf-8"), re.M)
    assert [f"{package}>={version}" for package, version in rows] == PROJECT["dependencies"]


def test_python_versions():
    prefix = "Programming Language :: Python :: 3."
    minors = [name.removeprefix(prefix) for name in PROJECT["classifiers"] if name.startswith(prefix)]
    install = (ROOT / "docs/install.rst").read_text(encoding="utf-8")
    assert PROJECT["requires-python"] == f">=3.{minors[0]}"
    assert f"Python 3.{minors[0]} to 3.{minors[-1]}" in install


def test_citation_names_version_date_and_address():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {sk_finalmlp.__version__}\n" in citation
    assert re.search(r"^date-released: \d{4}-\d\d-\d\d$", citation, re.M)
    assert f"\nrepository-code: {PROJECT['urls']['Repository']}\n" in citation


def test_links_of_the_readme_lead_to_files_of_the_release():
    hook = CONFIGURATION["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    (link,) = hook["substitutions"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = [match[1] for match in re.finditer(link["pattern"], readme)]
    assert "docs/accuracy.md" in targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
    assert f"]({PROJECT['urls']['Repository']}/blob/v$HFPR_VERSION/" in link["replacement"]


def test_actions_are_pinned_by_hash():
    workflows = (ROOT / ".github/workflows").glob("*.yml")
    used = [action for path in workflows for action in re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", action)] == []
