"""A statement or a command that cannot run is refused when its step is declared."""

from pathlib import Path
from typing import Any

import pytest

from batchord import Bash, Sql


def _sql(name: Any = "a", **options: Any) -> Sql:
    return Sql(name, "SELECT 1", **options)


def _bash(name: Any = "a", **options: Any) -> Bash:
    return Bash(name, "true", **options)


@pytest.mark.parametrize("sql", ["", "  \n", [], ["SELECT 1", ""], (), None])
def test_an_empty_statement_is_refused(sql: Any) -> None:
    """None at all, or one among others."""
    assert Sql("a", sql).problems() == ["sql= is empty: give a statement, or a list of statements"]


def test_statements_are_kept_in_their_order() -> None:
    """One, or several."""
    assert Sql("a", "SELECT 1").statements == ("SELECT 1",)
    assert Sql("a", ["INSERT INTO t VALUES (1)", "SELECT 2"]).statements == ("INSERT INTO t VALUES (1)", "SELECT 2")


def test_a_database_is_named_once() -> None:
    """By its address or by a variable, not by both."""
    (problem,) = _sql(url="postgresql://x", url_env="MY_URL").problems()

    assert problem == "both url= and url_env= are given: keep one"
    assert _sql(url_env="MY_URL").problems() == []


def test_an_address_is_not_shown() -> None:
    """It may hold a password."""
    assert "s3cret" not in repr(_sql(url="postgresql://me:s3cret@host/db"))


def test_parameters_have_names() -> None:
    """A list has none."""
    assert _sql(params=["a"]).problems() == ["params= is a list: give a dict of names and values"]


@pytest.mark.parametrize(("sql", "kind"), [(5, "int"), (["SELECT 1", None], "NoneType"), ([["SELECT 1"]], "list")])
def test_a_statement_is_a_text(sql: Any, kind: str) -> None:
    """Alone and among others."""
    assert Sql("a", sql).problems() == [f"sql= holds a {kind}: give a statement, or a list of statements"]


@pytest.mark.parametrize("option", ["url", "url_env"])
def test_a_database_is_named_by_a_text(option: str) -> None:
    """The wrong value is not shown, because it may hold a password."""
    assert _sql(**{option: 5}).problems() == [f"{option}= is an int: give a text"]


@pytest.mark.parametrize("command", ["", " \n", None])
def test_an_empty_command_is_refused(command: Any) -> None:
    """There is nothing to run."""
    assert Bash("a", command).problems() == ["command= is empty: give the command that bash runs"]


@pytest.mark.parametrize(("command", "kind"), [(["ls", "-l"], "list"), (5, "int"), ([], "list")])
def test_a_command_is_one_text(command: Any, kind: str) -> None:
    """A list is not a command, because bash reads a text."""
    assert Bash("a", command).problems() == [f"command= is a {kind}: give one text, such as 'ls -l'"]


@pytest.mark.parametrize("env", [{"A\0": "x"}, {"N=M": "x"}, {"": "x"}, {"A": "x\0"}])
def test_an_environment_that_no_process_can_be_given_is_refused(env: Any) -> None:
    """Names end at the first '=', texts at the first NUL."""
    (problem,) = _bash(env=env).problems()

    assert problem.startswith(f"env= holds {next(iter(env))!r}: a name must not be empty or hold '='")


@pytest.mark.parametrize("cwd", [5, "a\0", ["data"]])
def test_a_command_starts_in_a_folder(cwd: Any) -> None:
    """Its path is a text, or a Path."""
    assert _bash(cwd=cwd).problems() == [f"cwd={cwd!r}: give the path of a folder, or None"]
    assert _bash(cwd=Path("data")).problems() == []


def test_a_nul_character_in_a_command_is_refused() -> None:
    """No process can be given one."""
    assert Bash("a", "echo \0").problems() == ["command= holds a NUL character, which no shell can read"]


@pytest.mark.parametrize("env", [["A=1"], {"A": 1}, {1: "A"}, "A=1", None])
def test_an_environment_is_a_dict_of_texts(env: Any) -> None:
    """As the operating system has it."""
    assert _bash(env=env).problems() == ["env= must be a dict of texts"]
