"""What code reaches of the author's modules, by the names that it uses."""

import ast
import builtins
import sys
from collections.abc import Callable

from batchord.core.code.authors import resolved
from batchord.core.code.parsed import Imported, Parsed, canonical, imports_of

#: With these, names are made while the code runs: its text does not tell which.
_DYNAMIC = frozenset({"globals", "eval", "exec", "compile", "__import__", "import_module", "run_path", "run_module"})
_BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__", "__spec__", "__package__", "__class__"}


class Reach:
    """Collects code, each statement once, in the order in which it is reached: the same for the same code."""

    def __init__(self, parsed: Callable[[str], Parsed | None]) -> None:
        self._parsed = parsed
        self.texts: list[str] = []
        self._seen: set[int] = set()
        self._names: set[tuple[str, str]] = set()
        self._whole: set[str] = set()
        #: Kept, so that no id is given twice.
        self._nodes: list[ast.AST] = []

    @property
    def empty(self) -> bool:
        """Whether no code of the author's was reached."""
        return not self._nodes

    def module(self, name: str | None) -> Parsed | None:
        """The author's module of that name."""
        return None if name is None else self._parsed(name)

    def add_text(self, text: str) -> None:
        """A value that is part of it."""
        self.texts.append(text)

    def add_whole(self, module: str | None) -> None:
        """A whole module, where names cannot be told."""
        parsed = self.module(module)
        if module is None or parsed is None or module in self._whole:
            return
        self._whole.add(module)
        self.add_node(module, parsed.tree)

    def add_node(self, module: str, node: ast.AST) -> None:
        """A piece of a module's code, and all that it reaches."""
        if id(node) in self._seen:
            return
        self._seen.add(id(node))
        self._nodes.append(node)
        self.texts.append(canonical(node))
        own = _own_names(node)
        attributes = _attributes(node)
        for each in ast.walk(node):
            if isinstance(each, ast.Name):
                if each.id in _DYNAMIC:
                    self.add_whole(module)
                self.refer(module, each.id, attributes.get(id(each), ()), own=own)
            elif isinstance(each, ast.Attribute) and each.attr in _DYNAMIC:
                self.add_whole(module)
            elif isinstance(each, ast.Import | ast.ImportFrom) and not self._gives_names(module, each):
                self._import_inside(module, each)

    def refer(
        self, module: str, name: str, attributes: tuple[str, ...] = (), *, own: frozenset[str] | None = None
    ) -> None:
        """A name that code of the module uses, and what is taken of it: ``name.attribute.attribute``.

        ``own``: names that the code may give itself; any other must be known, or the whole module is covered.
        """
        parsed = self.module(module)
        if parsed is None:
            return
        known = name in parsed.gives or name in parsed.imports
        for imported in parsed.imports.get(name, ()):
            self._follow(module, imported, attributes)
        if (module, name) not in self._names:
            self._names.add((module, name))
            for statement in parsed.gives.get(name, ()):
                self.add_node(module, statement)
        if known or name in _BUILTINS:
            return
        stars = [resolved(star, self._package(module)) for star in parsed.stars]
        starred = [star for star in stars if star is not None and self.module(star) is not None]
        for full in starred:
            self.refer(full, name, attributes, own=frozenset({name}))
        if not stars and own is not None and name not in own:
            self.add_whole(module)  # given in a way that the text does not show

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
        elif parsed is not None:  # given by the package's __getattr__, or in another way that the text does not show
            self.add_whole(full)

    def _into_module(self, full: str, attributes: tuple[str, ...], *, plain: bool = False) -> None:
        """``import full`` and then ``full.attribute.attribute``."""
        while attributes and self.module(f"{full}.{attributes[0]}") is not None:
            full, attributes = f"{full}.{attributes[0]}", attributes[1:]
        parsed = self.module(full)
        if parsed is None:
            return
        if attributes and (attributes[0] in parsed.gives or attributes[0] in parsed.imports or parsed.stars):
            self.refer(full, attributes[0], attributes[1:])
        elif attributes or not plain:  # handed on as a whole: whoever has it may take anything of it
            self.add_whole(full)

    def _import_inside(self, module: str, node: ast.Import | ast.ImportFrom) -> None:
        """An import in a function: which of its names are used where is not looked at."""
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

    def _gives_names(self, module: str, node: ast.AST) -> bool:
        """Whether it is an import of the module itself, whose names are followed where they are used."""
        parsed = self.module(module)
        return parsed is not None and any(node is each for each in parsed.import_nodes)

    def _package(self, module: str) -> str | None:
        """From where relative names count: a package counts from itself."""
        loaded = sys.modules.get(module)
        return getattr(loaded, "__package__", None) or module.rpartition(".")[0] or None


def _own_names(node: ast.AST) -> frozenset[str]:
    """Every name that the code gives itself, somewhere: arguments, variables, functions, imports."""
    found: set[str] = set()
    for each in ast.walk(node):
        match each:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.add(name)
            case ast.MatchMapping(rest=str(name)):
                found.add(name)
            case ast.Import() | ast.ImportFrom():
                found |= {name for name, _ in imports_of(each)}
            case _ if hasattr(each, "name") and type(each).__name__ in ("TypeVar", "ParamSpec", "TypeVarTuple"):
                found.add(each.name)
    return frozenset(found)


def _attributes(node: ast.AST) -> dict[int, tuple[str, ...]]:
    """What is taken of a name, by the name's node: ``a.b.c`` gives ``("b", "c")`` for ``a``."""
    found: dict[int, tuple[str, ...]] = {}
    for each in ast.walk(node):
        chain: list[ast.AST] = [each]
        while isinstance(chain[-1], ast.Attribute):
            chain.append(chain[-1].value)
        if len(chain) > 1 and isinstance(chain[-1], ast.Name):
            names = tuple(reversed([link.attr for link in chain if isinstance(link, ast.Attribute)]))
            # The longest chain is met first: ast.walk goes from the outside to the inside.
            found.setdefault(id(chain[-1]), names)
    return found
