"""A parsed module: which statement defines which name, and where its other names come from."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

#: Nodes with a scope of their own: a statement inside of them defines no name of the module.
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True, kw_only=True)
class Imported:
    """Where a name of a module comes from."""

    module: str
    #: The name in that module; None: the module itself.
    name: str | None
    #: Whether the name ``a`` comes from ``import a.b``. Then attributes of ``a`` are looked up from this module on.
    plain: bool = False


@dataclass(kw_only=True)
class Parsed:
    """A module's statements by the names that they define."""

    tree: ast.Module
    #: The statements that define a name, or change what it stands for.
    gives: dict[str, list[ast.stmt]] = field(default_factory=lambda: defaultdict(list))
    imports: dict[str, list[Imported]] = field(default_factory=lambda: defaultdict(list))
    #: Modules that ``from module import *`` imports.
    stars: list[str] = field(default_factory=list)
    #: The import statements behind ``imports`` and ``stars``.
    import_nodes: list[ast.AST] = field(default_factory=list)


def parse(text: str) -> Parsed:
    """Parses a module's text. Raises SyntaxError."""
    parsed = Parsed(tree=ast.parse(text))
    for statement in parsed.tree.body:
        for name in _names_set_by(statement):
            parsed.gives[name].append(statement)
        for node in walk_scope(statement):
            if isinstance(node, ast.Import | ast.ImportFrom):
                _note_import(parsed, node)
    return parsed


def walk_scope(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all nodes below it, without the insides of functions and classes."""
    yield node
    if isinstance(node, _SCOPES):
        return
    for child in ast.iter_child_nodes(node):
        yield from walk_scope(child)


def imports_of(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Imported]]:
    """The names that an import defines, with where each comes from; ``*`` stands for all names."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname:
                yield alias.asname, Imported(module=alias.name, name=None)
            else:
                root = alias.name.partition(".")[0]
                yield root, Imported(module=root, name=None, plain=True)
        return
    module = "." * node.level + (node.module or "")
    for alias in node.names:
        yield alias.asname or alias.name, Imported(module=module, name=alias.name)


def canonical(node: ast.AST) -> str:
    """A text that says what the code does, without its comments, its layout and its place in the file.

    ``ast.dump`` does not serve: releases of Python differ in how it writes empty fields.
    """
    fields = []
    for name, value in ast.iter_fields(node):
        if value is None or value == [] or name in ("ctx", "kind", "type_comment", "type_ignores"):
            continue
        if isinstance(value, ast.AST):
            text = canonical(value)
        elif isinstance(value, list):
            text = "[" + ",".join(canonical(item) if isinstance(item, ast.AST) else repr(item) for item in value) + "]"
        else:
            text = f"{type(value).__name__}:{value!r}"
        fields.append(f"{name}={text}")
    return f"{type(node).__name__}({','.join(fields)})"


def _note_import(parsed: Parsed, node: ast.Import | ast.ImportFrom) -> None:
    parsed.import_nodes.append(node)
    for name, imported in imports_of(node):
        if name == "*":
            parsed.stars.append(imported.module)
        else:
            parsed.imports[name].append(imported)


def _names_set_by(statement: ast.stmt) -> set[str]:
    """Names that the statement defines, or whose values it may change."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return set()
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name} | _declared_global(statement)
    names = set()
    for node in walk_scope(statement):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names |= {name} | _declared_global(node)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                names.add(name)
            # OPTIONS["a"] = 1, options.a = 1: they change the value behind the name.
            case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
                names |= _root(node)
            # OPTIONS.update(a=1), prepare(OPTIONS): they may change it. add(Pipeline(model=f)) only hands f on.
            case ast.Expr(value=ast.Call(func=func, args=args, keywords=keywords)):
                arguments = [*args, *(keyword.value for keyword in keywords)]
                names |= _root(func) | {argument.id for argument in arguments if isinstance(argument, ast.Name)}
    return names


def _declared_global(node: ast.AST) -> set[str]:
    """Names of the module that a function declares as global and so may set when it is called."""
    return {name for inner in ast.walk(node) if isinstance(inner, ast.Global) for name in inner.names}


def _root(node: ast.AST) -> set[str]:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return {node.id} if isinstance(node, ast.Name) else set()
