"""Imports the author's modules from stored texts, so that one load sees a single text of each file.

Python's own import was rejected. Each process would read a file whenever it happens to import it. And if an edit keeps
a file's size within the same second, Python takes the bytecode of the older text.
"""

import importlib
import linecache
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import decode_source, module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from batchord.core.code import Code, is_authors
from batchord.core.code.authors import find_spec, imported_source, search_places


class AuthorsCode(MetaPathFinder):
    """The texts of one load, by absolute path. A file that is not among them is read at its first import.

    A process may have several of these. The one that was installed last imports modules. Functions that others have
    imported keep their code.
    """

    def __init__(self, texts: Mapping[str, bytes] | None = None) -> None:
        self.texts = dict(texts or {})
        #: The path of each module that this object has imported.
        self.modules: dict[str, str] = {}
        #: The author's folders without ``__init__.py`` that it has imported as packages.
        self.folders: set[str] = set()
        #: The code that the versions of pipelines' functions are computed from.
        self.code = Code(self.source)
        self._lock = threading.Lock()

    def install(self) -> None:
        """Makes this object import the author's modules from now on, also those that an earlier load has imported."""
        for finder in [entry for entry in sys.meta_path if isinstance(entry, AuthorsCode)]:
            sys.meta_path.remove(finder)
            finder.forget([*finder.modules, *finder.folders])
        importlib.invalidate_caches()
        sys.meta_path.insert(0, self)

    def forget(self, names: Iterable[str]) -> None:
        """Removes the author's modules of these names from ``sys.modules``."""
        for name in list(names):
            spec = getattr(sys.modules.get(name), "__spec__", None)
            if isinstance(getattr(spec, "loader", None), _Loader) or (spec is not None and name in self.folders):
                del sys.modules[name]

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module as Python finds it. If its file is gone, the module among the texts."""
        for finder in sys.meta_path:
            spec = None if isinstance(finder, AuthorsCode) else finder.find_spec(name, path, target)
            if spec is None:
                continue
            if type(spec.loader) is SourceFileLoader and is_authors(spec.origin):
                spec.loader = _Loader(name, str(spec.origin), self)
            elif spec.loader is None and _are_authors(spec):
                # Forgotten with the modules: the folder may get an __init__.py, or lie in another place.
                self.folders.add(name)
            return spec
        return self._find_among_texts(name, path)

    def import_file(self, name: str, path: Path) -> ModuleType:
        """Imports a file as the module ``name``."""
        loader = _Loader(name, str(path), self)
        spec = spec_from_file_location(name, path, loader=loader)
        assert spec is not None  # noqa: S101 -- there is a loader
        module = module_from_spec(spec)
        sys.modules[name] = module  # dataclasses and inspect need it there
        try:
            loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        return module

    def text(self, path: str) -> bytes:
        """The file's text. It stays the same for this object. Raises OSError."""
        with self._lock:
            if path not in self.texts:
                self.texts[path] = Path(path).read_bytes()
            return self.texts[path]

    def source(self, name: str) -> str | None:
        """The text of an author's module; None for any other module."""
        path = self.modules.get(name)
        if path is None:
            if name in sys.modules:
                return imported_source(name)
            spec = find_spec(name)
            path = spec.origin if spec is not None else None
            if path is None or not is_authors(path):
                return None
        try:
            return decode_source(self.text(path))
        except (OSError, SyntaxError, UnicodeDecodeError):
            return None

    def _find_among_texts(self, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
        tail = name.rpartition(".")[2]
        for entry in sys.path if path is None else path:
            for place, package in ((f"{entry}/{tail}/__init__.py", True), (f"{entry}/{tail}.py", False)):
                if place in self.texts:
                    folder = [f"{entry}/{tail}"] if package else None
                    loader = _Loader(name, place, self)
                    return spec_from_file_location(name, place, loader=loader, submodule_search_locations=folder)
        return None


def _are_authors(package: ModuleSpec) -> bool:
    """Whether all folders of a package without ``__init__.py`` are the author's."""
    return all(is_authors(f"{folder}/__init__.py") for folder in search_places(package))


class _Loader(SourceFileLoader):
    """Compiles the stored text under the file's own name."""

    def __init__(self, name: str, path: str, code: AuthorsCode) -> None:
        super().__init__(name, path)
        self._code = code

    def get_data(self, path: str) -> bytes:
        """The text that Python compiles, and shows in tracebacks."""
        return self._code.text(path) if path == self.path else super().get_data(path)

    def get_code(self, fullname: str) -> CodeType:
        """The compiled text. It does not use bytecode on disk: see the module's docstring."""
        data = self.get_data(self.path)
        self._code.modules[fullname] = self.path
        code: CodeType = self.source_to_code(data, self.path)
        # Tracebacks and inspect must show the text that runs, not a later edit. None: linecache never checks the file.
        lines = decode_source(data).splitlines(keepends=True)
        linecache.cache[self.path] = (len(data), None, lines, self.path)
        return code
