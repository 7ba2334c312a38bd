"""A function's digest changes with what the function does, and with nothing else."""

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from batchord import FunctionModel
from batchord.catalog import load
from batchord.core.code import imported_code
from tests.unit.core.code.made_functions import (
    PAIR,
    by_text,
    decorated,
    dynamic,
    factory,
    file,
    in_blocks,
    made_class,
    set_later,
)

_BASE = {
    "reviews.py": """
        import json
        import features
        from constants import OFFSET as START
        from batchord import Pipeline, SqlSource, every

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
    """Not in it: comments, layout, the pipeline's schedule, other functions, and the folder's place."""
    assert model(_edited(file, old, new)).code_digest == model(_BASE).code_digest


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (file("score", decorated(2, 1)), file("score", decorated(3, 1))),
        (file("score", decorated(2, 1)), file("score", decorated(2, 2))),
        (file("make(3)", factory(1)), file("make(4)", factory(1))),
        (file("make(3)", factory(1)), file("make(3)", factory(2))),
        (file("make({'a': [1, 2]})", factory(1)), file("make({'a': [1, 3]})", factory(1))),
        (file("Scorer(3)", made_class(1)), file("Scorer(4)", made_class(1))),
        (file("Scorer(3)", made_class(1)), file("Scorer(3)", made_class(2))),
        (file("Scorer(3).predict", made_class(1)), file("Scorer(4).predict", made_class(1))),
        (file("functools.partial(make(1), 1)", factory(1)), file("functools.partial(make(1), 2)", factory(1))),
        (file("functools.partial(max, 1)"), file("functools.partial(max, 2)")),
        (file("lambda f: f['x']"), file("lambda f: f['y']")),
        (file("K[1]", PAIR.format("y")), file("K[1]", PAIR.format("z"))),
        (file("lambda f: f['x'] * K", "K = 1"), file("lambda f: f['x'] * K", "K = 2")),
        (file("score", set_later(1)), file("score", set_later(2))),
        (file("score", in_blocks(1)), file("score", in_blocks(2))),
        (file("score", dynamic(1)), file("score", dynamic(2))),
        (file("score", by_text(1)), file("score", by_text(2))),
    ],
)
def test_however_the_function_is_made_its_version_covers_it(
    model: Loading, one: dict[str, str], two: dict[str, str]
) -> None:
    """Decorated, made by another function, an object, a lambda; names given in blocks, by calls, or dynamically."""
    assert model(one).code_digest != model(two).code_digest


def test_of_two_lambdas_in_a_line_each_has_its_own_version(model: Loading) -> None:
    """The code of its neighbour is not part of it."""
    assert model(file("K[0]", PAIR.format("y"))).code_digest == model(file("K[0]", PAIR.format("z"))).code_digest


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
            **file("score", code),
            "rules.py": text,
            "shop/__init__.py": "from .rules import limit\n",
            "shop/rules.py": text,
            "shop/all.py": "from .rules import *\n",
            "shop/lazy.py": "def __getattr__(name):\n    from . import rules\n    return getattr(rules, name)\n",
        }

    assert model(files(1)).code_digest != model(files(2)).code_digest
    assert model(files(1)).code_digest == model(files(1)).code_digest


def test_the_digest_is_of_the_code_that_was_loaded(model: Loading, tmp_path: Path) -> None:
    """A later edit does not change the digest, even if the digest had not been computed before."""
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
