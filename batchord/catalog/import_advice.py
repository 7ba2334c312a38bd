"""What an author writes instead of an import that failed."""

import pkgutil
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from batchord.core.process.extras import distribution_of
from batchord.core.text.similar import closest

#: What Python says if a module lacks a name.
_NO_NAME = re.compile(r"cannot import name '(\w+)' from (?:partially initialized module )?'([\w.]+)'")
#: The most modules of the same name that an advice names.
_MOST_PLACES = 3


def plain_name(path: Path, folder: Path) -> str | None:
    """The name by which other files import a file below the pipelines' ``folder``; None if they cannot."""
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join(parts) if all(part.isidentifier() for part in parts) else None


def import_advice(error: ImportError, path: Path, folder: Path) -> str:
    """The end of a sentence about an import in the file ``path``; empty if there is nothing to add."""
    missing = _NO_NAME.search(str(error))
    if error.name == "app" and missing is not None and missing[1] in sys.modules["batchord"].__all__:
        return f": write `from batchord import {missing[1]}`"
    if "relative import" in str(error):
        return f": write the whole name of the module, as it is below {folder.name}/, without a dot before it"
    if isinstance(error, ModuleNotFoundError):
        return _advice_to_find(error.name or "", path, folder)
    return "" if missing is None else _advice_to_name(missing[1], missing[2])


def _advice_to_name(name: str, module: str) -> str:
    """Of a name that the module lacks. Only names that it has already defined are known."""
    loaded = sys.modules.get(module)
    similar = closest(name, getattr(loaded, "__all__", None) or [each for each in dir(loaded) if each[:1] != "_"])
    return "" if similar is None else f": did you mean `{similar}`?"


def _advice_to_find(name: str, path: Path, folder: Path) -> str:
    if name == "app":
        return ": write `from batchord import …`; put a package app of your own beside the pipelines' folder"
    if name in ("workers", "beat"):
        return f": write `from batchord.{name}`"
    wholes = _whole_names(name, path, folder)
    if wholes:
        return f": write its whole name, {' or '.join(f'`{whole}`' for whole in wholes)}"
    package = name.rpartition(".")[0]
    own = closest(name, _authors_modules(path, folder, package))
    if own is not None:
        return f": did you mean `{own}`?"
    similar = closest(name, _installed(package) - {name})
    if package:
        return f": did you mean `{similar}`?" if similar else f": the package `{package}` has no such module"
    # Packages have similar names, too, such as ujson and json.
    meant = f"did you mean `{similar}`? If not" if similar else "if it is no module of yours"
    return f": {meant}, install it where the workers run: `pip install {distribution_of(name)}`"


def _whole_names(name: str, path: Path, folder: Path) -> list[str]:
    """The whole name of the module in the subfolder of the file at ``path``; otherwise those in all subfolders."""
    found = sorted(each for each in folder.glob(f"**/{name}.py") if each.parent != folder)
    found = [each for each in found if each.parent == path.parent] or found
    return [whole for whole in (plain_name(each, folder) for each in found[:_MOST_PLACES]) if whole is not None]


def _authors_modules(path: Path, folder: Path, package: str) -> Iterator[str]:
    """The names of the author's modules that the file at ``path`` can import, also those in the ``package``."""
    for root in (folder, folder.parent):
        places = {root, root.joinpath(*package.split(".")), *([path.parent] if path.is_relative_to(root) else [])}
        for each in [each for place in places if place.is_dir() for each in place.iterdir() if each != path]:
            is_module = each.suffix == ".py" or (each.is_dir() and any(each.glob("*.py")))
            name = plain_name(each, root) if is_module else None
            if name is not None:
                yield name


@cache
def _installed(package: str) -> frozenset[str]:
    """The modules of Python and of this environment's libraries; with ``package``, those in it, if it is imported."""
    if not package:
        return frozenset([*sys.stdlib_module_names, *(each.name for each in pkgutil.iter_modules())])
    places = getattr(sys.modules.get(package), "__path__", [])
    return frozenset(f"{package}.{each.name}" for each in pkgutil.iter_modules(places))
