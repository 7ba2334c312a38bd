"""Pipeline files: all are read, each problem is reported by name, and none hides another."""

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from app.catalog import Catalog, load
from app.core.errors import CatalogError, UnknownPipeline

Write = Callable[[str, str], Path]

#: A sound pipeline file; NAME is replaced.
_SOUND = """
    from app import Pipeline, SqlSource, every

    def model(frame):
        return frame

    source = SqlSource("SELECT id, body FROM reviews", key="id")
    pipeline = Pipeline("NAME", schedule=every(minutes=10), source=source, model=model)
"""


@pytest.fixture(autouse=True)
def _own_modules() -> Iterator[None]:
    """Reading pipeline files adds modules and a path: neither may reach another test."""
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name in [name for name in sys.modules if name.startswith(("batchord_pipelines_", "catalog_test_"))]:
        del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file into the pipelines' folder."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write


def _sound(name: str) -> str:
    return _SOUND.replace("NAME", name)


def _said(folder: Path) -> list[str]:
    return [str(problem) for problem in load(folder).problems]


def test_every_file_is_read_however_nested(tmp_path: Path, write: Write) -> None:
    """Two folders may have a file of the same name."""
    write("reviews.py", _sound("reviews"))
    write("shop/photos/predict.py", _sound("photos"))
    write("shop/texts/predict.py", _sound("texts"))

    catalog = Catalog(tmp_path)

    assert catalog.names() == ["photos", "reviews", "texts"]
    assert catalog.loaded.files["photos"] == "shop/photos/predict.py"
    assert catalog.problems == []


def test_private_and_hidden_names_are_left_out(tmp_path: Path, write: Write) -> None:
    """Drafts, packages' own files, checkouts of other tools."""
    for name in (
        "_private.py",
        ".hidden.py",
        "_drafts/a.py",
        ".git/b.py",
        "__pycache__/c.py",
        "__init__.py",
        "notes.txt",
    ):
        write(name, "raise RuntimeError('must not be read')")

    assert load(tmp_path).problems == []


def test_a_module_beside_can_be_imported(tmp_path: Path, write: Write) -> None:
    """Shared features live in a file of their own; it has no pipeline, which is no problem."""
    write("catalog_test_features.py", "def model(frame):\n    return frame\n")
    write("reviews.py", "from catalog_test_features import model\n" + dedent(_sound("reviews")))

    assert Catalog(tmp_path).names() == ["reviews"]


def test_pipelines_in_lists_tuples_and_dicts_are_found_once(tmp_path: Path, write: Write) -> None:
    """Made in a loop, named twice, collected: each is one pipeline."""
    many = """
        def make(name):
            return Pipeline(name, source=source, model=model)

        in_list = [make("one"), make("two")]
        in_dict = {"a": make("three"), "b": in_list[0]}
        in_tuple = (make("four"), "no pipeline", None)
        again = pipeline
    """
    write("many.py", dedent(_sound("five")) + dedent(many))

    catalog = Catalog(tmp_path)

    assert catalog.names() == ["five", "four", "one", "three", "two"]
    assert catalog.problems == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nthis is no python\n", "line 2: SyntaxError: "),
        ("def f(:\n", "line 1: SyntaxError: "),
        ("\nimport no_such_module_here\n", "line 2: ModuleNotFoundError: No module named 'no_such_module_here'"),
        ("from app import NoSuchName\n", "line 1: ImportError: cannot import name 'NoSuchName'"),
        ("import sys\n\nsys.exit('bye')\n", "line 3: SystemExit: bye"),
        ("def f():\n    1 / 0\n\nf()\n", "line 2: ZeroDivisionError: division by zero"),
        ("from app import cron\ncron()\n", "line 2: TypeError: "),
        ("raise KeyError('x')\n", "line 1: KeyError: 'x'"),
    ],
)
def test_a_broken_file_is_reported_with_its_line_and_hides_no_other(
    tmp_path: Path, write: Write, text: str, said: str
) -> None:
    """Whatever happens when it is imported."""
    write("a_broken.py", text)
    write("sound.py", _sound("sound"))

    assert [problem.partition(said)[:2] for problem in _said(tmp_path)] == [("a_broken.py: ", said)]
    assert Catalog(tmp_path).names() == ["sound"]


def test_a_missing_package_is_to_be_installed_where_workers_run(tmp_path: Path, write: Write) -> None:
    """The author's own machine has it: the message says which machine lacks it."""
    write("a.py", "import no_such_module_here")

    assert "install it where the workers run" in _said(tmp_path)[0]


def test_a_file_in_another_encoding_is_reported(tmp_path: Path, write: Write) -> None:
    """Latin-1 without a declaration is no Python."""
    write("sound.py", _sound("sound"))
    (tmp_path / "latin.py").write_bytes(b"name = '\xe4'\n")

    (problem,) = _said(tmp_path)

    assert problem.startswith("latin.py: ")
    assert Catalog(tmp_path).names() == ["sound"]


def test_an_interrupt_is_no_problem_of_a_file(tmp_path: Path, write: Write) -> None:
    """Whoever presses Ctrl-C wants to stop."""
    write("a.py", "raise KeyboardInterrupt")

    with pytest.raises(KeyboardInterrupt):
        load(tmp_path)


def test_all_problems_of_a_file_are_reported_together(tmp_path: Path, write: Write) -> None:
    """Each with the file and the pipeline that it is in."""
    bad = """
        from app import Pipeline, Predict, SqlSource, cron

        source = SqlSource("DELETE FROM t", key="")
        Step = lambda name, **more: Predict(name, source=source, model=len, **more)
        one = Pipeline("one", schedule=cron("whenever"), steps=[Step("a", after=["b"])])
        two = Pipeline("Two", steps=[])
    """
    write("shop/bad.py", bad)

    said = _said(tmp_path)

    assert all(problem.startswith("shop/bad.py: pipeline ") for problem in said)
    for part in (
        "'one': cron('whenever')",
        "begin with SELECT",
        "no key",
        "after='b' names no step",
        "'Two' is no pipeline",
    ):
        assert [problem for problem in said if part in problem], part
    assert len(said) == 6


def test_two_pipelines_of_one_name_are_both_refused(tmp_path: Path, write: Write) -> None:
    """Either would be a guess; each file is told about the other."""
    write("a.py", _sound("reviews"))
    write("shop/b.py", _sound("reviews"))
    write("c.py", _sound("sound"))

    assert _said(tmp_path) == [
        f"{file}: pipeline 'reviews': 2 pipelines have this name (in a.py, shop/b.py): give each its own"
        for file in ("a.py", "shop/b.py")
    ]
    assert Catalog(tmp_path).names() == ["sound"]


def test_a_folder_that_is_not_there_is_a_problem_not_an_error(tmp_path: Path) -> None:
    """`batchord pipelines` shows it, with what to do."""
    (problem,) = _said(tmp_path / "nowhere")

    assert "nowhere: there is no such folder: make it, or set BATCHORD_PIPELINES" in problem


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    """No pipelines and no problems."""
    assert (Catalog(tmp_path).names(), Catalog(tmp_path).problems) == ([], [])


def test_a_pipeline_is_given_by_its_name(tmp_path: Path, write: Write) -> None:
    """The same object each time: the folder is read once."""
    write("reviews.py", _sound("reviews"))
    catalog = Catalog(tmp_path)

    pipeline = catalog.get("reviews")
    write("later.py", _sound("later"))

    assert pipeline.name == "reviews"
    assert catalog.get("reviews") is pipeline
    assert catalog.names() == ["reviews"]


def test_an_unknown_pipeline_is_answered_with_those_that_are_there(tmp_path: Path, write: Write) -> None:
    """And with the files that could not be read, since it may be in one of them."""
    write("a.py", _sound("reviews"))
    write("b.py", _sound("photos"))
    write("broken.py", "import no_such_module_here")

    with pytest.raises(UnknownPipeline) as raised:
        Catalog(tmp_path).get("revews")

    said = str(raised.value)
    assert f"There is no pipeline 'revews' in {tmp_path}; there are: photos, reviews." in said
    assert "broken.py: line 1: ModuleNotFoundError" in said


def test_an_unknown_pipeline_in_an_empty_folder_says_none(tmp_path: Path) -> None:
    """No list that ends in nothing."""
    with pytest.raises(UnknownPipeline, match="there are: none"):
        Catalog(tmp_path).get("reviews")


def test_a_pipeline_with_problems_cannot_run_and_says_which(tmp_path: Path, write: Write) -> None:
    """Not 'unknown': the author knows that it is there."""
    write("reviews.py", _sound("reviews").replace('key="id"', 'key=""'))
    write("other.py", _sound("other").replace('key="id"', 'key=""'))

    with pytest.raises(CatalogError) as raised:
        Catalog(tmp_path).get("reviews")

    assert str(raised.value).startswith("Pipeline 'reviews' cannot run:\n  - reviews.py: pipeline 'reviews': ")
    assert "other" not in str(raised.value)


def test_a_model_defined_in_a_pipeline_file_keeps_its_source(tmp_path: Path, write: Write) -> None:
    """Its version is a digest of its text: inspect must find the module."""
    write("shop/reviews.py", _sound("reviews"))

    model = Catalog(tmp_path).get("reviews").step("predict").declared_model

    assert "return frame" in inspect.getsource(model.function)  # type: ignore[attr-defined]


def test_dataclasses_in_a_pipeline_file_work(tmp_path: Path, write: Write) -> None:
    """They look their module up while it is being imported."""
    code = """
        from __future__ import annotations
        from dataclasses import dataclass

        @dataclass
        class Threshold:
            value: float = 0.5
    """
    write("reviews.py", dedent(code) + dedent(_sound("reviews")))

    assert Catalog(tmp_path).names() == ["reviews"]
    assert Catalog(tmp_path).problems == []
