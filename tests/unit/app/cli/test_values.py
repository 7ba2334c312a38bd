"""A value that a command cannot use is refused before a file is loaded or a server is asked."""

from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import logs, reset, run
from app.cli.values import parsed


@pytest.fixture(autouse=True)
def nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither files nor a server."""

    def touch(*_: Any, **__: Any) -> None:
        raise AssertionError("the command has not refused the value before")

    for name in ("catalog", "ledger", "parts", "log_store"):
        monkeypatch.setattr(f"batchord.wiring.{name}", touch)
    for module in (run, reset.shows_ledger.__globals__):
        setter = monkeypatch.setitem if isinstance(module, dict) else monkeypatch.setattr
        setter(module, "database", touch)  # type: ignore[operator]


def refused(command: Any, *arguments: str) -> str:
    """The words of the refusal."""
    result: Result = CliRunner().invoke(command, list(arguments))
    assert result.exit_code == 2, result.exception
    return result.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("limit", "'limit' was read, which has no '=': write KEY=VALUE"),
        ("=3", "no name before its '=': write KEY=VALUE"),
        ("x=[1,2", "'x=[1,2' was read, whose value begins like JSON but is not JSON (it ends too early)"),
        ("x=[1,2", """write the text as 'x="[1,2"'."""),
        ("x={'a': 1}", "Expecting property name enclosed in double quotes at character 2 of the value"),
        ('x="half', "begins like JSON but is not JSON"),
        ("x= [1 2]", "Expecting ',' delimiter at character 5 of the value"),
        ("x=" + "[" * 100_000, "it is nested too deeply"),
        ("x=NaN", "Parameter x holds NaN or infinity"),
        ('x="\\u0000"', "holds a NUL character"),
    ],
    ids=["no =", "no name", "no end", "as a text", "quotes", "half a text", "a blank", "deep", "nan", "nul"],
)
def test_a_parameter_that_cannot_be_used(text: str, said: str) -> None:
    """The refusal says what was read, and what to write."""
    assert said in refused(run.run, "items", "--local", "--param", text)


def test_each_parameter_is_given_once() -> None:
    """Nobody can tell which of two values was meant."""
    assert "'x' is given twice" in refused(run.run, "items", "--param", "x=1", "--param", "x=2")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x=5", 5),
        ("x=[1, 2]", [1, 2]),
        ('x="[1,2"', "[1,2"),
        ("x=2026-11-01", "2026-11-01"),
        ("x=true", True),
        ("x=", ""),
        ("x=a=b", "a=b"),
        ("x=-", "-"),
    ],
)
def test_json_is_read_and_any_other_text_stays_a_text(text: str, value: Any) -> None:
    """As people type it in a shell."""
    assert parsed(text) == ("x", value)


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        (run.run, ("items", "--from", "monday", "--to", "2026-11-01"), "'monday' cannot be read as a time"),
        (run.run, ("items", "--from", "2026-11-01"), "Give both --from and --to"),
        (run.run, ("items", "--local", "--from", "2026-11-01", "--to", "2026-11-02"), "leave out --local"),
        (reset.reset, ("items",), "Nobody can be asked here"),
        (logs.logs, ("items", "--shard", "1"), "--shard needs --step"),
    ],
    ids=["no time", "no end", "local", "reset", "logs"],
)
def test_other_wrong_calls_start_nothing_either(command: Any, arguments: tuple[str, ...], said: str) -> None:
    """Where a server would be started for them, too."""
    assert said in refused(command, *arguments)
