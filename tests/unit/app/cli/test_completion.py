"""The shell completes commands, options and names. It starts the program at every Tab, so the program must be quick."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from app.cli import batchord
from tests.acceptance.own_stack import COMMAND

_PIPELINES = """
raise SystemExit("completion executes no file of an author")

graph = Pipeline("review-graph", steps=[Sql("trim", "SELECT 1"), Predict(name="mood", source=source), *computed])
reviews = batchord.Pipeline(name="reviews", source=source, model=model)
other = Pipeline(computed_name)
steering = Pipeline("\\x1b[2J")
"""
#: Modules that take longer to import than a person waits for a completion.
_SLOW = ("pydantic", "sqlalchemy", "psycopg", "pandas", "numpy", "celery", "redis")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with pipelines, in one of whose subfolders a person works."""
    (tmp_path / "pipelines" / "deep").mkdir(parents=True)
    (tmp_path / "pipelines" / "graph.py").write_text(_PIPELINES)
    (tmp_path / "pipelines" / "broken.py").write_text("def (")
    (tmp_path / "batchord.toml").write_text("")
    monkeypatch.chdir(tmp_path / "pipelines" / "deep")
    return tmp_path


def offered(*words: str) -> list[str]:
    """What the shell offers for the last word."""
    *before, incomplete = words
    complete = ShellComplete(batchord, {}, "batchord", "_BATCHORD_COMPLETE")
    return [str(item.value) for item in complete.get_completions(before, incomplete)]


def test_commands_and_options() -> None:
    """With the lines of the help page, which zsh and fish show."""
    assert offered("re") == ["report", "rejections", "retry", "rerun", "reset", "resume"]
    assert offered("--v") == ["--version"]
    assert offered("run", "--lo") == ["--local"]
    assert offered("runs", "--state", "can") == ["cancelled"]
    assert offered("completion", "") == ["bash", "zsh", "fish"]
    assert offered("export", "x", "--columns", "sc") == ["score"]
    assert offered("export", "x", "--columns", "step,s") == ["step,score", "step,shard"]
    (item,) = ShellComplete(batchord, {}, "batchord", "_BATCHORD_COMPLETE").get_completions([], "aler")
    assert item.help == "List the newest alerts, or send a test alert."


@pytest.mark.usefixtures("project")
def test_pipelines_and_steps_by_their_files() -> None:
    """As they are written; no file is executed, and a broken one hides no other."""
    assert offered("run", "") == ["review-graph", "reviews"]
    assert offered("audit", "reviews", "review-") == ["review-graph"]
    assert offered("runs", "--pipeline", "reviews") == ["reviews"]
    assert offered("logs", "--step", "m") == ["mood"]
    assert sorted(offered("logs", "--step", "")) == ["mood", "predict", "trim"]


def test_the_folder_is_that_of_the_settings(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment, or of batchord.toml."""
    (project / "batchord.toml").write_text('pipelines = "elsewhere"\n')
    assert offered("run", "") == []
    monkeypatch.setenv("BATCHORD_PIPELINES", str(project / "pipelines"))
    assert offered("run", "") == ["review-graph", "reviews"]


@pytest.mark.parametrize("text", ["pipelines = 5\n", "pipelines = ", 'redis_url_file = "nonexistent"\n'])
def test_nothing_is_offered_where_something_is_wrong(project: Path, text: str) -> None:
    """And nothing is printed: it would appear within the line that a person types."""
    (project / "batchord.toml").write_text(text)
    environment = {"BATCHORD_HOME": str(project), "_BATCHORD_COMPLETE": "bash_complete", "COMP_CWORD": "2"}
    ended = subprocess.run(
        COMMAND,
        env=os.environ | environment | {"COMP_WORDS": "batchord show 0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.stdout.strip(), ended.stderr) == ("", "")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("words", ["batchord re", "batchord run r", "batchord run --l", "batchord logs --step "])
def test_it_imports_little(words: str) -> None:
    """Otherwise each Tab would take a second."""
    program = (
        "import sys\ntry:\n    from batchord.app.cli import main; main()\n"
        f"finally:\n    print('slow', [name for name in {_SLOW!r} if name in sys.modules])"
    )
    count = str(len(words.split(" ")) - 1)
    environment = {"_BATCHORD_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": count}
    ended = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    *completions, slow = ended.stdout.splitlines()
    assert completions
    assert slow == "slow []"


def test_every_name_in_a_command_completes() -> None:
    """A parameter that names a pipeline, a run or a step has the type that offers it."""
    context = click.Context(batchord)
    plain = [
        f"{command.name} {parameter.name}"
        for name in batchord.list_commands(context)
        if (command := batchord.get_command(context, name)) is not None
        for parameter in command.params
        if parameter.name in {"name", "names", "pipeline", "run_id", "step", "from_step"}
        and type(parameter.type).__name__ not in {"PipelineName", "RunId", "StepName"}
    ]
    assert plain == []


def test_bash_itself_completes(project: Path, tmp_path: Path) -> None:
    """With the script of `batchord completion bash`, as its page says."""
    program = tmp_path / "bin" / "batchord"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable} -P\nfrom batchord.app.cli import main; main()\n")
    program.chmod(0o755)
    script = tmp_path / "completion"
    script.write_text(
        subprocess.run([program, "completion", "bash"], capture_output=True, text=True, check=True).stdout
    )
    asked = (
        f"source {script}; complete -p batchord\n"
        'ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _batchord_completion batchord; '
        'echo "${COMPREPLY[*]}"; }\n'
        "ask batchord re; ask batchord run ''; ask batchord run --wa"
    )
    ended = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", asked],
        env=os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"},
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    registered, *answers = ended.stdout.splitlines()
    assert "-F _batchord_completion batchord" in registered
    assert answers == ["report rejections retry rerun reset resume", "review-graph reviews", "--wait"]


@pytest.mark.parametrize(
    ("shell", "word"), [("zsh", "#compdef batchord"), ("fish", "complete --no-files --command batchord")]
)
def test_other_shells_get_scripts(shell: str, word: str) -> None:
    """Each in its own language."""
    ended = subprocess.run([*COMMAND, "completion", shell], capture_output=True, text=True, check=True, timeout=60)
    assert word in ended.stdout
