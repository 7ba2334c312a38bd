"""Follows names: from a piece of code to all code of the author's modules that it uses."""

import ast
import builtins
import sys
from collections.abc import Callable

from batchord.core.code.authors import resolved
from batchord.core.code.parsed import Imported, Parsed, canonical, imports_of

#: Code with these can make names while it runs. Its text does not tell which names.
_DYNAMIC = frozenset({"globals", "eval", "exec", "compile", "__import__", "import_module", "run_path", "run_module"})
_BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__", "__spec__", "__package__", "__class__"}


class Reach:
    """Collects code, each statement once, in the order in which it is reached. Equal code gives the same order."""

    def __init__(self, parsed: Callable[[str], Parsed | None]) -> None:
        self._parsed = parsed
        self.texts: list[str] = []
        self._seen: set[int] = set()
        self._names: set[tuple[str, str]] = set()
        self._whole: set[str] = set()
        #: Keeps the nodes alive, so that Python gives their ids to no other node.
        self._nodes: list[ast.AST] = []

    @property
    def empty(self) -> bool:
        """Whether no code of the author was reached."""
        return not self._nodes

    def module(self, name: str | None) -> Parsed | None:
        """The author's module of that name; None if there is none."""
        return None if name is None else self._parsed(name)

    def add_text(self, text: str) -> None:
        """Adds the text of a value."""
        self.texts.append(text)

    def add_whole(self, module: str | None) -> None:
        """Adds a whole module, where its text does not tell which names are used."""
        parsed = self.module(module)
        if module is None or parsed is None or module in self._whole:
            return
        self._whole.add(module)
        self.add_node(module, parsed.tree)

    def add_node(self, module: str, node: ast.AST) -> None:
        """Adds a piece of a module's code, and all code that it uses."""
        if id(node) in self._seen:
            return
        self._seen.add(id(node))
        self._nodes.append(node)
        self.texts.append(canonical(node))
        own = _own_names(node)
        attributes = _attributes(node)
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                if inner.id in _DYNAMIC:
                    self.add_whole(module)
                self.refer(module, inner.id, attributes.get(id(inner), ()), own=own)
            elif isinstance(inner, ast.Attribute) and inner.attr in _DYNAMIC:
                self.add_whole(module)
            elif isinstance(inner, ast.Import | ast.ImportFrom) and not self._is_module_import(module, inner):
                self._import_inside(module, inner)

    def refer(
        self, module: str, name: str, attributes: tuple[str, ...] = (), *, own: frozenset[str] | None = None
    ) -> None:
        """Adds what stands behind a name that code of the module uses as ``name.attribute.attribute``.

        ``own``: names that the code may define itself. If any other name is unknown, the whole module is added.
        """
        parsed = self.module(module)
        if parsed is None:
            return
        is_defined = name in parsed.gives or name in parsed.imports
        for imported in parsed.imports.get(name, ()):
            self._follow(module, imported, attributes)
        if (module, name) not in self._names:
            self._names.add((module, name))
            for statement in parsed.gives.get(name, ()):
                self.add_node(module, statement)
        if is_defined or name in _BUILTINS:
            return
        stars = [resolved(star, self._package(module)) for star in parsed.stars]
        authors_stars = [star for star in stars if star is not None and self.module(star) is not None]
        for full in authors_stars:
            self.refer(full, name, attributes, own=frozenset({name}))
        if not stars and own is not None and name not in own:
            self.add_whole(module)  # the text does not show what defines the name

    def _follow(self, module: str, imported: Imported, attributes: tuple[str, ...]) -> None:
        full = resolved(imported.module, self._package(module))
        if full is None:
            return
        if imported.name is None:
            self._into_module(full, attributes, plain=imported.plain)
            return
        parsed = self.module(full)
        if parsed is not None and (imported.name in parsed.gives or imported.name in parsed.imports or parsed.stars):
            self.refer(full, imported.name, attributes)
        elif self.module(f"{full}.{imported.name}") is not None:
            self._into_module(f"{full}.{imported.name}", attributes)
        elif parsed is not None:  # the package's __getattr__ defines it, or another way that the text does not show
            self.add_whole(full)

    def _into_module(self, full: str, attributes: tuple[str, ...], *, plain: bool = False) -> None:
        """Adds what stands behind ``full.attribute.attribute`` after ``import full``."""
        while attributes and self.module(f"{full}.{attributes[0]}") is not None:
            full, attributes = f"{full}.{attributes[0]}", attributes[1:]
        parsed = self.module(full)
        if parsed is None:
            return
        if attributes and (attributes[0] in parsed.gives or attributes[0] in parsed.imports or parsed.stars):
            self.refer(full, attributes[0], attributes[1:])
        elif attributes or not plain:  # the module is passed on as a whole: the receiver may use any part of it
            self.add_whole(full)

    def _import_inside(self, module: str, node: ast.Import | ast.ImportFrom) -> None:
        """Adds the code behind an import inside a function, whether its names are used or not."""
        for name, imported in imports_of(node):
            full = resolved(imported.module, self._package(module))
            if full is None:
                continue
            if name == "*":
                self.add_whole(full)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    self.add_whole(alias.name)
            else:
                self._follow(module, imported, ())

    def _is_module_import(self, module: str, node: ast.AST) -> bool:
        """Whether ``node`` is an import at the module's top level. Its names are followed where they are used."""
        parsed = self.module(module)
        return parsed is not None and any(node is import_node for import_node in parsed.import_nodes)

    def _package(self, module: str) -> str | None:
        """The package that relative imports of the module start from; for a package, itself."""
        loaded = sys.modules.get(module)
        return getattr(loaded, "__package__", None) or module.rpartition(".")[0] or None


def _own_names(node: ast.AST) -> frozenset[str]:
    """Every name that the code defines somewhere: arguments, variables, functions, imports."""
    names: set[str] = set()
    for inner in ast.walk(node):
        match inner:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                names.add(name)
            case ast.MatchMapping(rest=str(name)):
                names.add(name)
            case ast.Import() | ast.ImportFrom():
                names |= {name for name, _ in imports_of(inner)}
            case _ if hasattr(inner, "name") and type(inner).__name__ in ("TypeVar", "ParamSpec", "TypeVarTuple"):
                names.add(inner.name)
    return frozenset(names)


def _attributes(node: ast.AST) -> dict[int, tuple[str, ...]]:
    """The attributes that follow a name, by the id of the name's node: ``a.b.c`` gives ``("b", "c")`` for ``a``."""
    attributes: dict[int, tuple[str, ...]] = {}
    for inner in ast.walk(node):
        chain: list[ast.AST] = [inner]
        while isinstance(chain[-1], ast.Attribute):
            chain.append(chain[-1].value)
        if len(chain) > 1 and isinstance(chain[-1], ast.Name):
            names = tuple(reversed([link.attr for link in chain if isinstance(link, ast.Attribute)]))
            # ast.walk goes from the outside to the inside, so it meets the longest chain first.
            attributes.setdefault(id(chain[-1]), names)
    return attributes
