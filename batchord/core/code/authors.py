"""Which modules belong to the author, and not to Python, a library or Batchord."""

import importlib.util
import inspect
import os
import site
import sys
import sysconfig
from collections.abc import Sequence
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

#: The folder of Batchord's own code. In its repository, its sibling packages lie beside this folder.
_OWN = Path(__file__).parents[2]
_OWN_SIBLINGS = ("app", "workers", "beat")


@cache
def _foreign_folders() -> tuple[Path, ...]:
    python_folders = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders = [*python_folders, *site.getsitepackages(), site.getusersitepackages()]
    in_repository = (_OWN.parent / "app" / "celery_command.py").is_file()
    own = [_OWN, *(_OWN.parent / name for name in _OWN_SIBLINGS if in_repository)]
    return tuple({Path(folder).resolve() for folder in folders if folder} | set(own))


def is_authors(file: str | None) -> bool:
    """Whether a module's file belongs to the author: a .py file outside of Python, its libraries and Batchord."""
    if file is None or not file.endswith(".py"):
        return False
    if Path(file).is_symlink():
        return not _is_foreign(str(Path(file).resolve().parent))
    # Texts, not Paths: this is asked for each module that anything imports.
    return not _is_foreign(os.path.join(os.getcwd(), os.path.dirname(file)))  # noqa: PTH109, PTH118, PTH120


@cache
def _is_foreign(folder: str) -> bool:
    """Whether a folder belongs to Python, a library or Batchord. Hundreds of modules lie in few folders."""
    path = Path(folder).resolve()
    return any(path.is_relative_to(foreign) for foreign in _foreign_folders())


def imported_source(name: str) -> str | None:
    """The text of an author's module, as this process imported it or would import it; None for any other module."""
    module = sys.modules.get(name)
    if module is not None:
        return _text_of(module) if is_authors(getattr(module, "__file__", None)) else None
    spec = find_spec(name)
    if spec is None or not is_authors(spec.origin):
        return None
    get_source = getattr(spec.loader, "get_source", None)
    text: str | None = None if get_source is None else get_source(name)
    return text


def find_spec(name: str) -> ModuleSpec | None:
    """The spec with which Python would import a module. This imports no package: importing may do anything."""
    spec: ModuleSpec | None = None
    path: list[str] | None = None
    parts = name.split(".")
    for last in range(1, len(parts) + 1):
        full = ".".join(parts[:last])
        spec = _find(full, path)
        if spec is None:
            return None
        path = search_places(spec)
    return spec


def search_places(spec: ModuleSpec) -> list[str]:
    """The folders of a package. It need not be imported."""
    return list(spec.submodule_search_locations or [])


def _find(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        try:
            spec: ModuleSpec | None = finder.find_spec(name, path, None)
        except (ImportError, AttributeError, ValueError):
            continue
        except KeyError:  # a folder without an __init__.py in such a folder, which Python asks for as imported
            spec = ModuleSpec(name, None, is_package=True)
            tail = name.rpartition(".")[2]
            spec.submodule_search_locations = [
                f"{folder}/{tail}" for folder in path or () if Path(folder, tail).is_dir()
            ]
        if spec is not None:
            return spec
    return None


def _text_of(module: ModuleType) -> str | None:
    get_source = getattr(getattr(module, "__loader__", None), "get_source", None)
    try:
        if get_source is not None:
            text: str | None = get_source(module.__name__)
            return text
        return inspect.getsource(module)
    except (ImportError, OSError, TypeError):
        return None


def resolved(name: str, package: str | None) -> str | None:
    """The full name of a module whose ``name`` may be relative, as in ``from .features import x``."""
    if not name.startswith("."):
        return name
    try:
        return importlib.util.resolve_name(name, package)
    except (ImportError, ValueError, TypeError):
        return None
