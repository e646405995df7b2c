"""The versions that the documentation names are those of the package."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_lowest_versions_in_the_documentation():
    rows = re.findall(r"^   ([a-z-]+), ([0-9.]+)$", (ROOT / "docs/install.rst").read_text(encoding="utf-8"), re.M)
    assert [f"{package}>={version}" for package, version in rows] == PROJECT["dependencies"]


def test_python_versions():
    prefix = "Programming Language :: Python :: 3."
    minors = [name.removeprefix(prefix) for name in PROJECT["classifiers"] if name.startswith(prefix)]
    install = (ROOT / "docs/install.rst").read_text(encoding="utf-8")
    assert PROJECT["requires-python"] == f">=3.{minors[0]}"
    assert f"Python 3.{minors[0]} to 3.{minors[-1]}" in install
