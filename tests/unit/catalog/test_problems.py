"""What is wrong with a pipeline file is reported by name, and hides no other."""

from pathlib import Path

import pytest

from batchord.catalog import Catalog, load
from batchord.core.errors import CatalogError, UnknownPipeline
from tests.unit.catalog.pipeline_files import Write, sound


def _said(folder: Path) -> list[str]:
    return [str(problem) for problem in load(folder).problems]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nthis is no python\n", "line 2: SyntaxError: "),
        ("def f(:\n", "line 1: SyntaxError: "),
        ("\nimport no_such_module_here\n", "line 2: ModuleNotFoundError: No module named 'no_such_module_here'"),
        ("from batchord import NoSuchName\n", "line 1: ImportError: cannot import name 'NoSuchName'"),
        ("import sys\n\nsys.exit('bye')\n", "line 3: SystemExit: bye"),
        ("def f():\n    1 / 0\n\nf()\n", "line 2: ZeroDivisionError: division by zero"),
        ("from batchord import cron\ncron()\n", "line 2: TypeError: "),
        ("raise KeyError('x')\n", "line 1: KeyError: 'x'"),
    ],
)
def test_a_broken_file_is_reported_with_its_line_and_hides_no_other(
    tmp_path: Path, write: Write, text: str, said: str
) -> None:
    """Whatever happens when it is imported."""
    write("a_broken.py", text)
    write("sound.py", sound("sound"))

    assert [problem.partition(said)[:2] for problem in _said(tmp_path)] == [("a_broken.py: ", said)]
    assert Catalog(tmp_path).names() == ["sound"]


@pytest.mark.parametrize(
    ("helper", "said"),
    [
        ("x = 1\ndef broken(:\n", "_words.py line 2: SyntaxError: "),
        ("\nx = undefined\n", "_words.py line 2: NameError: name 'undefined'"),
        (
            "import no_such_module_here\n",
            "_words.py line 1: ModuleNotFoundError: No module named 'no_such_module_here'",
        ),
    ],
)
def test_an_error_in_an_imported_module_names_that_module(tmp_path: Path, write: Write, helper: str, said: str) -> None:
    """And the line of the pipeline's file that imports it: what is broken is not that file."""
    write("_words.py", helper)
    write("a.py", "\nimport _words\n")

    (problem,) = _said(tmp_path)

    assert problem.startswith(f"a.py: line 2: {tmp_path.name}/{said}")


def test_a_file_in_another_encoding_is_reported(tmp_path: Path, write: Write) -> None:
    """Latin-1 without an encoding declaration is not valid Python."""
    write("sound.py", sound("sound"))
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
    """Each with the file, the line and the pipeline that it is in."""
    bad = """
        from batchord import Pipeline, Predict, SqlSource, cron

        source = SqlSource("DELETE FROM t", key="")
        Step = lambda name, **more: Predict(name, source=source, model=len, **more)
        one = Pipeline("one", schedule=cron("whenever"), steps=[Step("a", after=["b"])])
        two = Pipeline("Two", steps=[])
    """
    write("shop/bad.py", bad)

    said = _said(tmp_path)

    assert all(problem.startswith(("shop/bad.py: line 6: pipeline ", "shop/bad.py: line 7: ")) for problem in said)
    for part in (
        "'one': cron('whenever')",
        "begin with SELECT",
        "no key",
        "after='b' names an unknown step",
        "'Two' cannot be a pipeline name",
    ):
        assert [problem for problem in said if part in problem], part
    assert len(said) == 6


@pytest.mark.parametrize(
    "declared",
    [
        'Pipeline("bad", source=SqlSource(123, key="id"), model=len)',
        'Pipeline("bad", source=SqlSource(None, key="id"), model=len)',
        'Pipeline("bad", steps=[Predict(7, source=source, model=len)])',
        'Pipeline("bad", steps=[Predict("a", source=source, model=len, batch_rows="10")])',
        'Pipeline("bad", steps=[Predict("a", source=source, model=len, after=[["b"]])])',
        'Pipeline("bad", source=SqlSource("SELECT 1", key="id", settle=60), model=len)',
        'Pipeline("bad", schedule=cron(5), source=source, model=len)',
        'Pipeline("bad", schedule=cron("0 * * * *", None), source=source, model=len)',
        'Pipeline("bad", schedule=Every, source=source, model=len)',
        'Pipeline("bad", schedule=Every(600), source=source, model=len)',
        'Pipeline("bad", source=source, model=TransformersText("m", text="a", revision=7))',
        'Pipeline("bad", source=source, model=TransformersText("m", text="a", device=None))',
    ],
)
def test_a_value_of_a_wrong_type_is_reported_and_hides_no_other(tmp_path: Path, write: Write, declared: str) -> None:
    """Whatever the check of it raises."""
    head = (
        "from batchord import *\nfrom batchord.core.calendar.schedules import Every\n"
        "source = SqlSource('SELECT 1', key='id')\n"
    )
    write("bad.py", f"{head}bad = {declared}\n")
    write("sound.py", sound("sound"))

    catalog = Catalog(tmp_path)

    assert catalog.names() == ["sound"]
    assert {(problem.file, problem.pipeline) for problem in catalog.problems} == {("bad.py", "bad")}


def test_two_pipelines_of_one_name_are_both_refused(tmp_path: Path, write: Write) -> None:
    """Choosing one would be a guess. The problem of each file names the other file."""
    write("a.py", sound("reviews"))
    write("shop/b.py", sound("reviews"))
    write("c.py", sound("sound"))

    assert _said(tmp_path) == [
        f"{file}: line 8: pipeline 'reviews': 2 pipelines have this name (in a.py, shop/b.py): give each a name of "
        "its own"
        for file in ("a.py", "shop/b.py")
    ]
    assert Catalog(tmp_path).names() == ["sound"]


@pytest.mark.parametrize("other", ["reviews", "letters"])
def test_a_pipeline_whose_variable_another_one_takes_is_reported(tmp_path: Path, write: Write, other: str) -> None:
    """As after a copy within a file: only the second one can be found, and nobody would miss the first."""
    again = f"pipeline = Pipeline('{other}', source=source, model=len)\n"
    path = write("a.py", sound("reviews"))
    path.write_text(path.read_text() + again)

    (problem,) = _said(tmp_path)

    assert problem == (
        "a.py: line 8: pipeline 'reviews': line 9 gives its variable pipeline to another pipeline, so this one is "
        "lost: give each a variable of its own"
    )
    assert Catalog(tmp_path).names() == [name for name in ("letters",) if name == other]


@pytest.mark.parametrize(
    "between",
    [
        "every_one = [pipeline]\n",
        "def first():\n    return pipeline\n",
        "pipeline = None\n",
        "if pipeline:\n    one = pipeline\n",
    ],
)
def test_a_pipeline_that_is_used_before_another_takes_its_variable_is_not_lost(
    tmp_path: Path, write: Write, between: str
) -> None:
    """Files may build their pipelines in any way; a variable that is cleared shows that its author means it."""
    path = write("a.py", sound("reviews"))
    path.write_text(f"{path.read_text()}{between}pipeline = Pipeline('letters', source=source, model=len)\n")

    assert _said(tmp_path) == []


def test_a_folder_that_is_not_there_is_a_problem_not_an_error(tmp_path: Path) -> None:
    """`batchord pipelines` shows it, with what to do."""
    (problem,) = _said(tmp_path / "nowhere")

    assert "nowhere: this folder does not exist: call the command in the folder of your project, create it" in problem


def test_below_the_project_the_folder_of_the_project_is_named(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who edits a file is often in the folder of the pipelines."""
    write("pipelines/reviews.py", sound("reviews"))
    monkeypatch.chdir(tmp_path / "pipelines")

    (problem,) = _said(Path("pipelines"))

    assert f"does not exist in {tmp_path}/pipelines: call the command in the folder {tmp_path}, create it" in problem


def test_an_unknown_pipeline_is_answered_with_those_that_are_there(tmp_path: Path, write: Write) -> None:
    """And with the files that could not be read, since it may be in one of them."""
    write("a.py", sound("reviews"))
    write("b.py", sound("photos"))
    write("broken.py", "import no_such_module_here")

    with pytest.raises(UnknownPipeline) as raised:
        Catalog(tmp_path).get("revews")

    said = str(raised.value)
    assert f"There is no pipeline 'revews' in {tmp_path}; did you mean 'reviews'?" in said
    assert "broken.py: line 1: ModuleNotFoundError" in said


def test_an_unknown_pipeline_is_answered_with_pipelines_that_cannot_run(tmp_path: Path, write: Write) -> None:
    """The person may have just given it another name."""
    write("a.py", sound("Bestellungen 🙂"))

    with pytest.raises(UnknownPipeline, match=r"there are: none.\n  - a.py: line \d+: .* cannot be a pipeline name"):
        Catalog(tmp_path).get("orders")


def test_a_pipeline_that_is_no_global_is_told_with_its_file(tmp_path: Path, write: Write) -> None:
    """Other files only have its name in a text."""
    write("a.py", "from batchord import Pipeline\n\ndef make():\n    return Pipeline(\n        'orders')\n")
    write("b.py", "name = 'orders'\n")

    with pytest.raises(UnknownPipeline) as raised:
        Catalog(tmp_path).get("orders")

    assert str(raised.value).splitlines()[1:] == ["  - a.py: make the pipeline a global of the file: no other is found"]


def test_a_pipeline_of_a_file_that_cannot_be_loaded_is_not_called_unknown(tmp_path: Path, write: Write) -> None:
    """The file has its name. Problems of other files would only hide the one to correct."""
    write("reviews.py", sound("reviews").replace("source=", "sorce="))
    write("broken.py", "import no_such_module_here")

    with pytest.raises(UnknownPipeline) as raised:
        Catalog(tmp_path).get("reviews")

    (first, second) = str(raised.value).splitlines()
    assert first == "Pipeline 'reviews' cannot run, because its file cannot be loaded:"
    assert second.startswith(
        "  - reviews.py: line 8: TypeError: Pipeline has no option 'sorce': did you mean 'source'?"
    )


def test_an_unknown_pipeline_is_answered_on_one_screen(tmp_path: Path, write: Write) -> None:
    """However many files cannot be loaded."""
    for number in range(9):
        write(f"broken_{number:02}.py", "import no_such_module_here")

    with pytest.raises(UnknownPipeline) as raised:
        Catalog(tmp_path).get("reviews")

    lines = str(raised.value).splitlines()
    assert len(lines) == 7
    assert lines[-1] == "  and 4 more: `batchord pipelines` lists all"


def test_an_unknown_pipeline_in_an_empty_folder_says_none(tmp_path: Path) -> None:
    """No list that ends in nothing."""
    with pytest.raises(UnknownPipeline, match="there are: none"):
        Catalog(tmp_path).get("reviews")


def test_a_pipeline_with_problems_cannot_run_and_says_which(tmp_path: Path, write: Write) -> None:
    """Not 'unknown': the author knows that it is there."""
    write("reviews.py", sound("reviews").replace('key="id"', 'key=""'))
    write("other.py", sound("other").replace('key="id"', 'key=""'))

    with pytest.raises(CatalogError) as raised:
        Catalog(tmp_path).get("reviews")

    assert str(raised.value).startswith("Pipeline 'reviews' cannot run:\n  - reviews.py: line 8: pipeline 'reviews': ")
    assert "other" not in str(raised.value)


def test_a_line_is_named_whatever_path_leads_to_the_file(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative folder, and a link to it on Python's path."""
    write("pipelines/notes.py", "from batchord import every\n\ns = every(minuts=3)\n")
    write("pipelines/team/more.py", "\nimport _words\n")
    write("pipelines/_words.py", "1 / 0\n")
    (tmp_path / "link").symlink_to(tmp_path / "pipelines")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "link"))

    assert _said(Path("pipelines")) == [
        "notes.py: line 3: TypeError: every has no option 'minuts': did you mean 'minutes'?",
        "team/more.py: line 2: pipelines/_words.py line 1: ZeroDivisionError: division by zero",
    ]
