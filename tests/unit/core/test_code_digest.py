"""A function's digest changes with what the function does, and with nothing else."""

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from app.catalog import load
from app.core.code import imported_code
from app.core.models import FunctionModel

_BASE = {
    "reviews.py": """
        import json
        import features
        from constants import OFFSET as START
        from app import Pipeline, SqlSource, every

        SCALE = 2.0
        OPTIONS = {"deep": {"a": 1}}
        OPTIONS["more"] = 2
        UNUSED = 1
        LABELS = sorted(["a", "b"])

        def helper(x):
            return x * SCALE

        class Scaler:
            factor = 3

            def scale(self, x):
                return x * self.factor

        scaler = Scaler()

        def score(frame, start=START):
            # how it begins
            found = helper(frame["x"]) + start + features.shift(frame) + len(OPTIONS) + len(LABELS)
            return scaler.scale(found)

        def other(frame):
            return frame["y"]

        pipeline = Pipeline("reviews", source=SqlSource("SELECT 1 AS id", key="id"), model=score)
    """,
    "features.py": """
        from constants import FACTOR

        def shift(frame):
            return frame["x"] * FACTOR

        def unused(frame):
            return 0
    """,
    "constants.py": """
        FACTOR = 10
        OFFSET = 1
        REST = 5
    """,
}

#: Loads files from a folder of their own, as a new process would, and gives the pipeline's model.
Loading = Callable[[dict[str, str]], FunctionModel]
_places = itertools.count()


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Loading]:
    """See above."""
    path, before = list(sys.path), set(sys.modules)

    def model(files: dict[str, str]) -> FunctionModel:
        sys.path[:] = path
        folder = tmp_path / str(next(_places))
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(dedent(text), encoding="utf-8")
        loaded = load(folder)
        assert loaded.problems == []
        found = loaded.pipelines["reviews"].predict_steps[0].declared_model
        assert isinstance(found, FunctionModel)
        return found

    yield model
    sys.path[:] = path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def _edited(file: str, old: str, new: str) -> dict[str, str]:
    assert old in _BASE[file]
    return {**_BASE, file: _BASE[file].replace(old, new)}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("reviews.py", 'frame["x"]) + start', 'frame["x"]) - start'),
        ("reviews.py", "SCALE = 2.0", "SCALE = 2.5"),
        ("reviews.py", "return x * SCALE", "return x / SCALE"),
        ("reviews.py", "factor = 3", "factor = 4"),
        ("reviews.py", "return x * self.factor", "return x + self.factor"),
        ("reviews.py", 'OPTIONS["more"] = 2', 'OPTIONS["more"] = 3'),
        ("reviews.py", 'OPTIONS["more"] = 2', "OPTIONS.update(more=2)"),
        ("reviews.py", '{"a": 1}', '{"a": 2}'),
        ("reviews.py", 'sorted(["a", "b"])', 'sorted(["a", "c"])'),
        ("reviews.py", "OFFSET as START", "FACTOR as START"),
        ("features.py", 'frame["x"] * FACTOR', 'frame["x"] + FACTOR'),
        ("constants.py", "FACTOR = 10", "FACTOR = 11"),
        ("constants.py", "OFFSET = 1", "OFFSET = 2"),
    ],
)
def test_what_the_function_reaches_is_part_of_its_version(model: Loading, file: str, old: str, new: str) -> None:
    """Its own code, helpers, constants and classes, in its own file and in those that it imports from."""
    assert model(_edited(file, old, new)).code_digest != model(_BASE).code_digest


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("reviews.py", "# how it begins", "# how it goes on, said in another way"),
        ("reviews.py", "import json", "import json, math\n\n"),
        ("reviews.py", "return x * SCALE", "return (x\n                    *  SCALE)"),
        ("reviews.py", "UNUSED = 1", "UNUSED = 2"),
        ("reviews.py", 'return frame["y"]', 'return frame["z"]'),
        ("reviews.py", 'key="id")', 'key="id"), schedule=every(minutes=5)'),
        ("features.py", "return 0", "return 1"),
        ("constants.py", "REST = 5", "REST = 6"),
    ],
)
def test_what_the_function_does_not_reach_is_none(model: Loading, file: str, old: str, new: str) -> None:
    """Comments, layout, the pipeline's schedule, other functions; nor where the folder lies."""
    assert model(_edited(file, old, new)).code_digest == model(_BASE).code_digest


def _file(declared: str, code: str = "") -> dict[str, str]:
    head = "import functools\nfrom app import FunctionModel, Pipeline, SqlSource\n"
    last = f'\npipeline = Pipeline("reviews", source=SqlSource("SELECT 1 AS id", key="id"), model={declared})\n'
    return {"reviews.py": head + code + last}


def _decorated(n: int, m: int) -> str:
    return f"""
def twice(function):
    @functools.wraps(function)
    def wrapper(frame):
        return function(frame) * {n}
    return wrapper

@twice
def score(frame):
    return frame["x"] + {m}
"""


def _factory(m: int) -> str:
    return f"""
def make(k):
    def inner(frame):
        return frame["x"] * k + {m}
    return inner
"""


def _class(m: int) -> str:
    return f"""
class Scorer:
    def __init__(self, k):
        self.k = k
    def __call__(self, frame):
        return frame["x"] * self.k + {m}
    def predict(self, frame):
        return self(frame)
"""


def _set_later(m: int) -> str:
    return f"""
LIMIT = None
def prepare():
    global LIMIT
    LIMIT = {m}
prepare()
def score(frame):
    return frame["x"] > LIMIT
"""


def _in_blocks(m: int) -> str:
    return f"""
try:
    import no_such_library
except ImportError:
    FALLBACK = {m}
for value in range(9):
    LAST = value
if (n := 9):
    pass
def score(frame):
    return frame["x"] + FALLBACK + LAST + n
"""


def _dynamic(m: int) -> str:
    return f"""
globals()["LIMIT"] = {m}
def score(frame):
    return frame["x"] > LIMIT
"""


def _by_text(m: int) -> str:
    return f"""
LIMIT = {m}
def score(frame):
    return frame["x"] > globals()["LIMIT"]
"""


_PAIR = "K = (lambda f: f['x'], lambda f: f['{}'])"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (_file("score", _decorated(2, 1)), _file("score", _decorated(3, 1))),
        (_file("score", _decorated(2, 1)), _file("score", _decorated(2, 2))),
        (_file("make(3)", _factory(1)), _file("make(4)", _factory(1))),
        (_file("make(3)", _factory(1)), _file("make(3)", _factory(2))),
        (_file("make({'a': [1, 2]})", _factory(1)), _file("make({'a': [1, 3]})", _factory(1))),
        (_file("Scorer(3)", _class(1)), _file("Scorer(4)", _class(1))),
        (_file("Scorer(3)", _class(1)), _file("Scorer(3)", _class(2))),
        (_file("Scorer(3).predict", _class(1)), _file("Scorer(4).predict", _class(1))),
        (_file("functools.partial(make(1), 1)", _factory(1)), _file("functools.partial(make(1), 2)", _factory(1))),
        (_file("functools.partial(max, 1)"), _file("functools.partial(max, 2)")),
        (_file("lambda f: f['x']"), _file("lambda f: f['y']")),
        (_file("K[1]", _PAIR.format("y")), _file("K[1]", _PAIR.format("z"))),
        (_file("lambda f: f['x'] * K", "K = 1"), _file("lambda f: f['x'] * K", "K = 2")),
        (_file("score", _set_later(1)), _file("score", _set_later(2))),
        (_file("score", _in_blocks(1)), _file("score", _in_blocks(2))),
        (_file("score", _dynamic(1)), _file("score", _dynamic(2))),
        (_file("score", _by_text(1)), _file("score", _by_text(2))),
    ],
)
def test_however_the_function_is_made_its_version_covers_it(
    model: Loading, one: dict[str, str], two: dict[str, str]
) -> None:
    """Decorated, made by another function, an object, a lambda; names given in blocks, by calls, or dynamically."""
    assert model(one).code_digest != model(two).code_digest


def test_of_two_lambdas_in_a_line_each_has_its_own_version(model: Loading) -> None:
    """What its neighbour does is none of its."""
    assert model(_file("K[0]", _PAIR.format("y"))).code_digest == model(_file("K[0]", _PAIR.format("z"))).code_digest


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("from rules import limit", "limit()"),
        ("from rules import limit as most", "most()"),
        ("import rules", "rules.limit()"),
        ("import rules as r", "r.limit()"),
        ("import shop.rules as r", "r.limit()"),
        ("import shop.rules", "shop.rules.limit()"),
        ("from shop import rules", "rules.limit()"),
        ("from shop import rules", "getattr(rules, 'limit')()"),
        ("from shop.rules import limit", "limit()"),
        ("from shop import limit", "limit()"),
        ("from shop.all import *", "limit()"),
        ("from shop.lazy import limit", "limit()"),
    ],
)
@pytest.mark.parametrize("place", ["top", "function"])
def test_however_a_name_is_imported_the_version_covers_it(model: Loading, line: str, value: str, place: str) -> None:
    """From a module beside, from a package, by all its names, at the top of the file or in the function."""
    if place == "top" or "*" in line:
        code = f"{line}\ndef score(frame):\n    return {value}\n"
    else:
        code = f"def score(frame):\n    {line}\n    return {value}\n"

    def files(limit: int) -> dict[str, str]:
        text = f"LIMIT = {limit}\ndef limit():\n    return LIMIT\n"
        return {
            **_file("score", code),
            "rules.py": text,
            "shop/__init__.py": "from .rules import limit\n",
            "shop/rules.py": text,
            "shop/all.py": "from .rules import *\n",
            "shop/lazy.py": "def __getattr__(name):\n    from . import rules\n    return getattr(rules, name)\n",
        }

    assert model(files(1)).code_digest != model(files(2)).code_digest
    assert model(files(1)).code_digest == model(files(1)).code_digest


def test_the_digest_is_of_the_code_that_was_loaded(model: Loading, tmp_path: Path) -> None:
    """An edit changes nothing afterwards, though nobody had asked for the digest before."""
    before = model(_BASE).code_digest
    loaded = model(_BASE)
    for name, text in _edited("constants.py", "FACTOR = 10", "FACTOR = 11").items():
        for path in tmp_path.rglob(name):
            path.write_text(dedent(text).replace("2.0", "2.1"), encoding="utf-8")

    assert loaded.code_digest == before


def test_an_edit_within_a_second_that_keeps_the_size_is_seen(model: Loading, tmp_path: Path) -> None:
    """Python's own bytecode files take such an edit for none."""
    first = model(_BASE).code_digest
    (folder,) = [path.parent for path in tmp_path.rglob("reviews.py")]
    constants = folder / "constants.py"
    constants.write_text(constants.read_text(encoding="utf-8").replace("10", "11"), encoding="utf-8")

    found = load(folder).pipelines["reviews"].predict_steps[0].declared_model

    assert isinstance(found, FunctionModel)
    assert found.code_digest != first
    assert found.function.__globals__["features"].FACTOR == 11


def test_a_librarys_function_has_the_digest_of_its_text() -> None:
    """A built-in has none."""
    assert imported_code().digest(dedent) is not None
    assert imported_code().digest(len) is None
