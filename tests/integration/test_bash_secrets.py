"""A command is given no secret of Batchord's that its step does not name."""

import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchord.core.run.runs import RunState
from batchord.flow.local import run_local
from tests.integration.flow_parts import ITEMS, Bench
from tests.integration.graph_parts import bash, declare_graph

_OWN = {
    "BATCHORD_DATABASE_URL": "postgresql://u:own-1@db/x",
    "batchord_owner_url": "postgresql://u:own-2@db/x",
    "BATCHORD_REDIS_URL": "redis://:own-3@redis:6379/0",
    "BATCHORD_S3_SECRET_ACCESS_KEY": "own-4",
    "BATCHORD_ALERT_URLS": "slack://own-5",
    "FLOWER_BASIC_AUTH": "flower:own-6",
    "CELERY_BROKER_URL": "redis://:own-7@redis:6379/0",
}
_NAMES = "env -0 | python3 -c 'import json, sys; print(json.dumps(sys.stdin.read().split(chr(0))))'"


@pytest.fixture
def bench(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A worker whose environment holds everything."""
    for name, value in {**_OWN, "SHOP_PASSWORD": "the author's", "BATCHORD_PIPELINES": "p"}.items():
        monkeypatch.setenv(name, value)
    with Bench(database_url, tmp_path) as bench:
        yield bench


def environment_of(bench: Bench, folder: Path, **options: object) -> str:
    """All variables of a command, as one text."""
    declare_graph(bench, bash("list", f"{_NAMES} > {folder}/seen.json", **options))
    run = run_local(bench.parts(), pipeline=ITEMS)
    assert run.state is RunState.SUCCEEDED, run.error
    seen: list[str] = json.loads((folder / "seen.json").read_text())
    return "\n".join(seen)


def test_a_command_inherits_no_secret_of_batchords(bench: Bench, tmp_path: Path) -> None:
    """All else stays: the author's own secrets, and where files are."""
    seen = environment_of(bench, tmp_path)
    assert "own-" not in seen
    assert "SHOP_PASSWORD=the author's" in seen
    assert "BATCHORD_PIPELINES=p" in seen
    assert "BATCHORD_RUN_ID=" in seen


def test_the_outputs_of_a_killed_command_do_not_stay(bench: Bench) -> None:
    """They are values of earlier steps: in the home alone, and not for longer than until the next command."""
    folder = bench.parts().settings.home / "outputs"
    folder.mkdir()
    (folder / "left.json").write_text("{}")
    (folder / "of-another-worker.json").write_text("{}")
    declare_graph(bench, bash("look", f"ls {folder} && test -s $BATCHORD_OUTPUTS"))

    with (folder / "of-another-worker.json").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run = run_local(bench.parts(), pipeline=ITEMS)

    assert run.state is RunState.SUCCEEDED, run.error
    assert [file.name for file in folder.glob("*.json")] == ["of-another-worker.json"]


def test_a_command_is_given_what_its_step_names(bench: Bench, tmp_path: Path) -> None:
    """That alone, also where the value does not come from the environment; a role's address falls back."""
    seen = environment_of(bench, tmp_path, secrets=["BATCHORD_REDIS_URL", "BATCHORD_AUTHOR_URL"])
    assert f"BATCHORD_REDIS_URL={_OWN['BATCHORD_REDIS_URL']}" in seen
    assert f"BATCHORD_AUTHOR_URL={_OWN['BATCHORD_DATABASE_URL']}" in seen
    assert "own-4" not in seen
    assert "own-6" not in seen


def test_a_secret_that_is_not_there_fails_the_step(bench: Bench) -> None:
    """With its name and the names that there are, and no value."""
    declare_graph(bench, bash("list", "true", secrets=["BATCHORD_DATABASE_ULR"]))
    run = run_local(bench.parts(), pipeline=ITEMS)
    assert run.state is RunState.FAILED
    assert "BATCHORD_DATABASE_ULR; this worker has BATCHORD_ALERT_URLS, " in (run.error or "")
    assert "own-" not in (run.error or "")
