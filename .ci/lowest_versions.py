"""Prints the lowest supported versions as constraints for pip, but for the packages named as arguments."""

import sys
import tomllib
from pathlib import Path

described = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
project, developers = described["project"], described["dependency-groups"]["dev"]
extras = project["optional-dependencies"]
# Old narwhals can't read new polars, and new pytest warns of how old scikit-learn parametrises tests.
of_their_time = [requirement for requirement in developers if requirement.startswith(("polars>=", "pytest>="))]
for requirement in [*project["dependencies"], *extras["plot"], *extras["progress"], *of_their_time]:
    package, _, version = requirement.partition(">=")
    if package not in sys.argv[1:]:
        print(f"{package}=={version}")
