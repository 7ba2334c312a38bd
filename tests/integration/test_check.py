"""`batchord check` names what is wrong in pipeline files, and the line."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from app.cli.check import check
from batchord import wiring
from batchord.catalog import load
from batchord.core.errors import ConfigurationError
from batchord.settings import Settings
from tests.integration.checked_files import SOUND, checked, configure, forgotten, write
from tests.integration.flow_parts import Bench, by


@pytest.fixture(autouse=True)
def _own_modules(tmp_path: Path) -> Iterator[None]:
    with forgotten(tmp_path):
        yield


@pytest.fixture
def bench(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A database with a table ``records``, in the settings of a folder with pipelines."""
    monkeypatch.chdir(tmp_path)
    configure(
        monkeypatch,
        Settings(
            database_url=SecretStr(by("ledger", database_url)),
            source_url=SecretStr(by("source", database_url)),
            author_url=SecretStr(by("author", database_url)),
        ),
    )
    with Bench(database_url, tmp_path / "home") as bench:
        yield bench


def marked(path: Path) -> list[int]:
    """The numbers of the marked lines."""
    return [number for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1) if "#!" in line]


def test_sound_files(bench: Bench) -> None:  # noqa: ARG001 -- its database is asked
    """No problem, exit code 0; nothing is left unchecked."""
    write("reviews.py", SOUND)

    told = checked()

    assert told == {"files": ["pipelines/reviews.py"], "pipelines": ["reviews"], "problems": [], "warnings": [],
                    "unchecked": []}  # fmt: skip
    assert CliRunner().invoke(check, []).stdout == "No problems in 1 pipeline of 1 file.\n"


def test_tables_for_predictions(bench: Bench) -> None:
    """One that does not fit, with the SQL that corrects it; one of two pipelines; one that can be made is none."""
    wiring.ledger.cache_clear()  # another test's database
    bench.sql("CREATE TABLE moods (id bigint PRIMARY KEY, label text, score float8, writer int)")
    text = """
        {name} = Pipeline("{name}", steps=[
            Predict(
                "score",
                source=SqlSource("SELECT id, body FROM records", key="id"),
                model=len,
                into="{table}",  #!
            ),
        ])
    """
    files = [write(f"{name}.py", text.format(name=name, table=table)) for name, table in
             (("a", "moods"), ("b", "made"), ("c", "public.made"))]  # fmt: skip

    problems = checked(code=1)["problems"]

    assert [(each["pipeline"], each["line"]) for each in problems] == [
        ("a", marked(files[0])[0]),
        ("c", marked(files[2])[0]),
    ]
    assert problems[0]["what"] == (
        "into='moods': it lacks columns: ALTER TABLE public.moods ADD COLUMN predicted_at timestamptz NOT NULL DEFAULT "
        "now()"
    )
    assert (
        problems[1]["what"] == "into='public.made' is the table of step score of b: give each step a table of its own"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nraise ValueError('no')  #!", ["ValueError: no"]),
        ("def x(:  #!\n    pass", ["SyntaxError: invalid syntax"]),
        (
            """
            a = Pipeline("a", source=SqlSource("SELECT 1 AS id", key="id"), model=len)
            b = Pipeline(
                "b",
                source=SqlSource("SELECT 1 AS id", key="id"),
                model=len,
                overlap="both",  #!
            )
            """,
            ["overlap='both' is unknown"],
        ),
        (
            """
            source = SqlSource(
                "SELECT id, body FROM records",
                key="idd",  #!
            )
            Pipelines = [Pipeline("a", source=source, model=len)]
            """,
            ["key='idd' is not a column of its query"],
        ),
        (
            """
            QUERY = '''
                SELECT id,
                       bodi  #!
                FROM records
            '''
            a = Pipeline("a", source=SqlSource(QUERY.replace("#" + "!", ""), key="id"), model=len)
            """,
            ['column "bodi" does not exist'],
        ),
        (
            """
            records = SqlSource("SELECT id, body FROM records", key="id")
            a = Pipeline("a", steps=[
                Predict("one", source=records, model=len),
                Predict("two", source=records, model=FunctionModel(len, text="txt")),  #!
            ])
            """,
            ["The model reads the column 'txt', but the source gives only id, body"],
        ),
        (
            """
            a = Pipeline("a", steps=[
                Sql("one", [
                    "SELECT 1",
                    "SELECT nothing FROM records WHERE id = :id",  #!
                ]),
                Sql("two", "SELEC 1"),  #!
                Bash("three", "make tables", after="two"),
                Sql("four", "SELECT * FROM made", after="three"),
                Bash("five", "if true; then"),  #!
            ])
            """,
            [
                'Statement 2 of 2 would be refused: column "nothing" does not exist',
                'syntax error at or near "SELEC"',
                "bash cannot read command=: ",
            ],
        ),
        (
            """
            for name in ["a"]:
                vars()[name] = Pipeline(name, source=SqlSource("SELECT id FROM missing", key="id"), model=len)  #!
            """,
            ['relation "missing" does not exist'],
        ),
        ("\nfor name in ['a']:\n    vars()[name] = Pipeline(name)", ["it has no steps"]),
    ],
    ids=["raises", "syntax", "declaration", "key", "sql", "model", "steps", "sql of a loop", "loop"],
)
def test_a_problem_has_its_line(bench: Bench, text: str, said: list[str]) -> None:  # noqa: ARG001 -- as above
    """That of the option, the SQL or the step that is wrong; line 1 if a loop made the pipeline."""
    path = write("a.py", text)

    problems = checked(code=1)["problems"]

    assert [part in each["what"] for part, each in zip(said, problems, strict=True)] == [True] * len(said)
    assert [each["line"] for each in problems] == (marked(path) or [1])
    assert {each["file"] for each in problems} == {"pipelines/a.py"}


def test_a_check_changes_nothing(bench: Bench) -> None:
    """Statements are parsed and not executed, and no record is read."""
    bench.insert(2)
    write(
        "a.py",
        """
        a = Pipeline("a", steps=[
            Sql("one", "DELETE FROM records"),
            Sql("two", "DROP TABLE records"),
            Predict("three", source=SqlSource("SELECT 1 / (id - id) AS id FROM records", key="id"), model=len),
        ])
        """,
    )

    assert checked()["problems"] == []
    assert bench.value("SELECT count(*) FROM records") == 2


def test_what_is_wrong_with_a_source_names_its_line_wherever_it_is_read(bench: Bench) -> None:
    """A check names the line anyway; a dry run and a worker have only the error."""
    write(
        "a.py",
        """
        a = Pipeline(
            "a",
            model=len,
            source=SqlSource("SELECT id, bdy FROM records", key="id"),
        )
        """,
    )
    source = load(Path("pipelines")).pipelines["a"].predict_steps[0].source

    with pytest.raises(ConfigurationError, match=r'column "bdy" does not exist') as raised:
        bench.parts().open_source(source, None).check()

    assert str(raised.value).partition(" The source is declared at ")[2].endswith("pipelines/a.py:6.")


def test_records_that_no_run_can_read_are_a_warning(bench: Bench) -> None:
    """They are no mistake in a file, so the exit code stays 0. `batchord audit` counts them."""
    path = write(
        "a.py",
        """
        source = SqlSource("SELECT id, body, created_at FROM records", key="id", arrival="created_at")
        a = Pipeline("a", source=source, model=len)  #!
        """,
    )
    bench.insert(3)
    before = checked()["warnings"]
    bench.sql("UPDATE records SET created_at = NULL WHERE id < 3")

    (warning,) = checked()["warnings"]
    people = CliRunner().invoke(check, [])
    github = CliRunner().invoke(check, ["--format", "github"])

    assert before == []
    assert (warning["file"], [warning["line"]]) == (str(path), marked(path))
    assert warning["what"].startswith("The source has records whose created_at is NULL, such as 1, 2: no run predicts")
    assert f"{path}:{warning['line']}: ! a/predict: The source has records" in people.stdout
    assert github.stdout.startswith(f"::warning file={path},line={warning['line']},title=batchord check%3A a/predict::")
    assert (people.exit_code, github.exit_code) == (0, 0)


def test_only_the_files_that_are_named_are_checked(bench: Bench) -> None:  # noqa: ARG001 -- as above
    """A module stands for the pipeline files that import it. A file that none imports is a problem."""
    write("_parts.py", "NAME = 'Not a name'\n")
    write("a.py", "from _parts import NAME\na = Pipeline(NAME)\n")
    write("b.py", "b = Pipeline('b')\n")
    write("_alone.py", "")

    by_file = checked("pipelines/b.py", code=1)
    by_module = checked("pipelines/_parts.py", code=1)
    alone = checked("pipelines/_alone.py", code=1)

    assert {each["file"] for each in by_file["problems"]} == {"pipelines/b.py"} == set(by_file["files"])
    assert by_module["files"] == ["pipelines/a.py"]
    assert [each["file"] for each in alone["problems"]] == ["pipelines/_alone.py"]
    assert "no pipeline file imports it" in alone["problems"][0]["what"]


@pytest.mark.parametrize(
    "text",
    ["def made():\n    return Pipeline('lost')  #!", "Pipeline('lost')  #!", "if False:\n    a = Pipeline('lost')  #!"],
)
def test_a_pipeline_that_no_name_holds_is_a_warning(bench: Bench, text: str) -> None:  # noqa: ARG001 -- as above
    """Batchord looks at the names of a file. An author who overlooks that would otherwise hear of no problem."""
    path = write("lost.py", text)
    (warning,) = checked()["warnings"]
    assert (warning["file"], [warning["line"]]) == (str(path), marked(path))
    assert warning["what"].startswith("no top-level name of the file holds the pipeline 'lost'")
    write("lost.py", "def made(name):\n    return Pipeline(name)\nfound = made('found')")
    assert checked(code=1)["warnings"] == []  # only that it has no step


def test_models_are_loaded_on_request(bench: Bench) -> None:  # noqa: ARG001 -- as above
    """Without ``--models`` a missing model is no problem."""
    path = write(
        "a.py",
        """
        a = Pipeline(
            "a",
            source=SqlSource("SELECT id, body FROM records", key="id"),
            model=SklearnModel("models/none.skops", text="body"),
        )
        """,
    )

    (problem,) = checked("--models", code=1)["problems"]

    assert checked()["problems"] == []
    assert "The model cannot be loaded: 'models/none.skops' does not exist on this machine" in problem["what"]
    assert problem["file"] == str(path)
