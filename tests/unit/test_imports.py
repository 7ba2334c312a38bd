"""The cost of imports: no process loads modules that it does not use. Each case is a new interpreter."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_LEARNING = {"torch", "transformers", "sklearn", "skops", "tokenizers", "safetensors", "scipy"}
_DATABASES = {"sqlalchemy", "psycopg", "alembic"}
_STORES = {"boto3", "botocore"}
_FRAMES = {"pandas", "numpy", "PIL"}
_QUEUES = {"celery", "kombu", "redis", "redbeat", "flower", "tornado"}


def _loaded(tmp_path: Path, statement: str) -> set[str]:
    """Top-level names of the modules that a fresh interpreter holds after ``statement``."""
    program = (
        f"{statement}\nimport sys, json; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    )
    return set(json.loads(_run(tmp_path, program).splitlines()[-1]))


def _run(tmp_path: Path, program: str) -> str:
    """What a fresh interpreter prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BATCHORD_")}
    # Nobody listens there: an import that connects fails.
    environment |= {
        "BATCHORD_REDIS_URL": "redis://127.0.0.1:1/0",
        "BATCHORD_HOME": str(tmp_path),
        "PYTHONPATH": str(_ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import batchord, app", _LEARNING | _DATABASES | _STORES | _FRAMES | _QUEUES),
        ("import batchord.catalog, batchord.core.ports", _LEARNING | _DATABASES | _STORES | _FRAMES | _QUEUES),
        (
            "import batchord.catalog.trying",  # in a process for each trial
            _LEARNING | _DATABASES | _STORES | _FRAMES | _QUEUES | {"pydantic", "pydantic_settings"},
        ),
        ("import batchord.settings", _LEARNING | _DATABASES | _STORES | _FRAMES | _QUEUES),
        ("import app.cli", _LEARNING | _DATABASES | _STORES | _FRAMES | _QUEUES),
        (
            "from batchord.app.cli import batchord; batchord(['--help'], standalone_mode=False)",
            _LEARNING | _DATABASES | _STORES | _FRAMES | _QUEUES,
        ),
        # What a command needs that shows runs: sources are read by others.
        (
            "import app.localstack.addresses, app.cli.database, batchord.ledger.ledger",
            _LEARNING | _FRAMES | {"sqlalchemy", "alembic"},
        ),
        # The supervisor itself, before it imports what its forks share.
        ("import app.localstack.background", _LEARNING | _STORES | _FRAMES | _QUEUES | {"sqlalchemy", "alembic"}),
        # It asks whether its servers answer, without the clients that workers need.
        (
            (
                "from pathlib import Path; from app.localstack.s3 import S3; from app.localstack.redis import Redis\n"
                "S3(home=Path(), access_key_id='a', secret_access_key='b').answers(1)\n"
                "Redis(home=Path(), password='c').answers(1)"
            ),
            _STORES | _QUEUES | {"sqlalchemy", "alembic"},
        ),
        # Flower by itself, without Celery's shell and its library for terminals.
        (
            (
                "import contextlib; from app.celery_command import run\n"
                "with contextlib.suppress(SystemExit): run(['flower', '--help'])"
            ),
            _LEARNING | _FRAMES | {"click_repl", "prompt_toolkit"},
        ),
        ("import app.celery, beat.schedule", _LEARNING | _DATABASES | _STORES | _FRAMES),
        ("import workers.tasks, workers.lifecycle", _LEARNING | {"pandas", "alembic"}),
        (
            "import batchord.flow.predict.plan, batchord.flow.predict.shard, batchord.flow.upkeep.audit",
            _LEARNING | _DATABASES | _STORES | _FRAMES | _QUEUES,
        ),
    ],
)
def test_an_import_loads_nothing_that_it_does_not_need(
    tmp_path: Path, statement: str, unwanted: Collection[str]
) -> None:
    """A pipeline file imports `batchord` alone; beat needs Celery and no database; workers load models on demand."""
    assert sorted(_loaded(tmp_path, statement).intersection(unwanted)) == []


def test_a_fork_imports_only_what_its_fork_server_must_not(tmp_path: Path) -> None:
    """Batchord's app, and what imports it. The app sets a variable, which a fork loses: Flower would be open."""
    statement = (
        "import importlib, sys; from app import forks\n"
        "for name in forks.MODULES: importlib.import_module(name)\n"
        "importlib.import_module('batchord.wiring').load_adapters()\n"
        "before = set(sys.modules)\n"
        "from app.celery import app\n"
        "app.loader.import_default_modules(); app.finalize()\n"
        "import beat.schedule, workers.consumer, workers.losses\n"
        "print(json.dumps([sorted(before), sorted(set(sys.modules) - before)]))"
    )
    before, after = json.loads(_run(tmp_path, f"import json; {statement}").splitlines()[-1])
    unshared = re.compile(r"(batchord\.)?(app\.(celery|celery_loader|configuration)|(workers|beat)(\..+)?)")
    assert [name for name in before if unshared.fullmatch(name)] == []
    assert [name for name in after if not unshared.fullmatch(name)] == []


def test_every_module_can_be_imported_where_nothing_is_configured(tmp_path: Path) -> None:
    """Settings are read when they are needed: neither an import nor a test of one part asks for a server."""
    programs = {"app/dashboard/flowerconfig.py", "app/localstack/s3_server.py"}  # which do what they are for
    modules = [
        ".".join(file.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__")
        for top in ("batchord", "app", "workers", "beat")
        for file in sorted((_ROOT / top).rglob("*.py"))
        if "migrations" not in file.parts and file.relative_to(_ROOT).as_posix() not in programs
    ]
    program = f"import importlib\nfor name in {modules!r}: importlib.import_module(name)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BATCHORD_")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment | {"HOME": str(tmp_path), "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_reading_the_example_pipelines_loads_no_model(tmp_path: Path) -> None:
    """Beat reads every pipeline file: declarations must stay light."""
    folder = str(_ROOT / "pipelines")
    statement = f"from pathlib import Path; from batchord.catalog import Catalog; Catalog(Path({folder!r})).names()"

    assert sorted(_loaded(tmp_path, statement) & (_LEARNING | _DATABASES | _STORES | _QUEUES)) == []
