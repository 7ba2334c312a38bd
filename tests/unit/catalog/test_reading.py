"""All pipeline files are read, at any depth of folders, and each pipeline is found once."""

import inspect
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from batchord.catalog import Catalog, load
from tests.unit.catalog.pipeline_files import Write, sound

_ROOT = Path(__file__).parents[3]


def test_every_file_is_read_however_nested(tmp_path: Path, write: Write) -> None:
    """Two folders may have a file of the same name."""
    write("reviews.py", sound("reviews"))
    write("shop/photos/predict.py", sound("photos"))
    write("shop/texts/predict.py", sound("texts"))

    catalog = Catalog(tmp_path)

    assert catalog.names() == ["photos", "reviews", "texts"]
    assert catalog.loaded.files["photos"] == "shop/photos/predict.py"
    assert catalog.problems == []


def test_a_pipeline_that_another_file_imports_is_declared_once(tmp_path: Path, write: Write) -> None:
    """By its whole name, from a folder with or without an ``__init__.py``, however deep."""
    write("first/deep/a.py", sound("deep"))
    write("second/__init__.py", "")
    write("second/b.py", sound("packaged"))
    write("c.py", "from first.deep.a import pipeline as deep\nfrom second.b import pipeline as packaged\n")

    catalog = Catalog(tmp_path)

    assert (catalog.names(), catalog.problems) == (["deep", "packaged"], [])


def test_a_folder_that_becomes_a_package_is_imported_anew(tmp_path: Path, write: Write) -> None:
    """A process that has imported from the folder without ``__init__.py`` takes up the edit."""
    write("shop/rules.py", "limit = 1\n")
    write("a.py", "from shop.rules import limit\n" + dedent(sound("a")))
    before = Catalog(tmp_path).problems
    write("shop/__init__.py", "from shop.rules import limit\n")
    write("a.py", "from shop import limit\n" + dedent(sound("a")))

    assert (before, Catalog(tmp_path).problems) == ([], [])


def test_a_folder_with_the_name_of_an_installed_package_imports_nothing_of_it(tmp_path: Path, write: Write) -> None:
    """Its files get names of their own."""
    write("tabnanny/a.py", sound("named"))
    sys.modules.pop("tabnanny", None)

    assert Catalog(tmp_path).names() == ["named"]
    assert "tabnanny" not in sys.modules


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
    """Shared functions may be in their own file. A file without a pipeline is not a problem."""
    write("catalog_test_features.py", "def model(frame):\n    return frame\n")
    write("reviews.py", "from catalog_test_features import model\n" + dedent(sound("reviews")))

    assert Catalog(tmp_path).names() == ["reviews"]


def test_pipelines_in_lists_tuples_and_dicts_are_found_once(tmp_path: Path, write: Write) -> None:
    """A pipeline made in a loop, bound to two names or kept in a collection counts once."""
    many = """
        def make(name):
            return Pipeline(name, source=source, model=model)

        in_list = [make("one"), make("two")]
        in_dict = {"a": make("three"), "b": in_list[0]}
        in_tuple = (make("four"), "no pipeline", None)
        again = pipeline
    """
    write("many.py", dedent(sound("five")) + dedent(many))

    catalog = Catalog(tmp_path)

    assert catalog.names() == ["five", "four", "one", "three", "two"]
    assert catalog.problems == []


def test_a_pipeline_that_another_file_imports_is_one_pipeline(tmp_path: Path, write: Write) -> None:
    """The file that declares it is the one that is named, in whatever order the two are read."""
    write("catalog_test_b.py", sound("reviews"))
    write("catalog_test_a.py", "from catalog_test_b import pipeline")
    write("catalog_test_c.py", "from catalog_test_b import pipeline")

    catalog = Catalog(tmp_path)

    assert (catalog.names(), catalog.problems) == (["reviews"], [])


def test_a_pipeline_file_takes_no_other_modules_place(tmp_path: Path, write: Write) -> None:
    """A file may have the name of one of Python's modules. An import of that name still gets Python's module."""
    write("colorsys.py", sound("colours"))
    code = f"""
        from pathlib import Path
        from batchord.catalog import Catalog
        assert Catalog(Path({str(tmp_path)!r})).names() == ["colours"]
        import colorsys
        assert colorsys.rgb_to_hsv
    """

    subprocess.run([sys.executable, "-c", dedent(code)], cwd=_ROOT, check=True, timeout=60)


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    """No pipelines and no problems."""
    assert (Catalog(tmp_path).names(), Catalog(tmp_path).problems) == ([], [])


def test_a_pipeline_is_given_by_its_name(tmp_path: Path, write: Write) -> None:
    """The same object each time: the folder is read once."""
    write("reviews.py", sound("reviews"))
    catalog = Catalog(tmp_path)

    pipeline = catalog.get("reviews")
    write("later.py", sound("later"))

    assert pipeline.name == "reviews"
    assert catalog.get("reviews") is pipeline
    assert catalog.names() == ["reviews"]


def test_a_model_defined_in_a_pipeline_file_keeps_its_source(tmp_path: Path, write: Write) -> None:
    """Its version is a digest of its text: inspect must find the module."""
    write("shop/reviews.py", sound("reviews"))

    model = Catalog(tmp_path).get("reviews").predict_step("predict").declared_model

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
    write("reviews.py", dedent(code) + dedent(sound("reviews")))

    assert Catalog(tmp_path).names() == ["reviews"]
    assert Catalog(tmp_path).problems == []


def test_the_code_of_an_own_kind_of_source_is_a_part_of_its_digest(tmp_path: Path, write: Write) -> None:
    """An edit of it may give other records; a comment gives none."""
    kind = """
        from batchord import Source
        from batchord.sources.listed import ListedReader, Record

        class Counted(Source):
            def open(self, context):
                return ListedReader(lambda: [Record(number, {}) for number in range(3)], key=self.key)
    """
    pipeline = """
        from batchord import Pipeline
        from catalog_test_counts import Counted

        counted = Pipeline("counted", source=Counted(key="number"), model=lambda frame: frame.index)
    """
    write("counted.py", pipeline)

    def digest(text: str) -> str:
        write("catalog_test_counts.py", text)
        catalog = Catalog(tmp_path)
        assert catalog.problems == []
        return catalog.get("counted").predict_steps[0].source_digest

    first = digest(kind)

    assert digest(kind + "\n        # as it was\n") == first
    assert digest(kind.replace("range(3)", "range(4)")) != first
