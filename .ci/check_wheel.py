"""Import everything from an installed wheel, and from nowhere else: `python .ci/check_wheel.py FOLDER`."""

import importlib
import pkgutil
import sys
from pathlib import Path

import sk_finalmlp

folder = Path(sys.argv[1]).resolve()
package = Path(sk_finalmlp.__file__).resolve().parent
assert package.parent == folder, f"sk_finalmlp was imported from {package.parent}, not from {folder}"
assert (package / "py.typed").exists()
for module in pkgutil.walk_packages(sk_finalmlp.__path__, "sk_finalmlp."):
    importlib.import_module(module.name)
for name in sk_finalmlp.__all__:
    getattr(sk_finalmlp, name)
