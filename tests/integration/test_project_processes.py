"""Every process reads the project's settings, wherever it is started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.localstack import start_background, stop_background
from tests.integration.stack_processes import POLITE, log, ready, spec

#: What each of them has for Redis's address.
_ASKED = {
    "worker": "from batchord.app.celery import app; print(app.conf.broker_url)",
    "beat": "import batchord.beat.schedule; from batchord.app.celery import app; print(app.conf.broker_url)",
    "flower": "import batchord.app.celery; from batchord.app.dashboard import closing; "
    "print(closing.settings().require_redis_url())",
    "fork server": "import batchord.app.forks as forks; print(forks.settings().require_redis_url())",
    "command": "from batchord.wiring import settings; print(settings().require_redis_url())",
}


@pytest.mark.parametrize("process", _ASKED)
def test_every_process_finds_the_file(tmp_path: Path, process: str) -> None:
    """In a subfolder of the project, with a secret in a file of its own."""
    folder = tmp_path / "notebooks" / "deep"
    folder.mkdir(parents=True)
    (tmp_path / "redis").write_text("redis://:hunter2-long@127.0.0.1:1/0\n")
    (tmp_path / "batchord.toml").write_text('redis_url_file = "redis"\n')
    ended = subprocess.run(
        [sys.executable, "-P", "-c", _ASKED[process]],
        cwd=folder,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.stdout == "redis://:hunter2-long@127.0.0.1:1/0\n", ended.stderr


def test_the_stacks_processes_run_in_the_projects_folder(own_home: Path, tmp_path: Path) -> None:
    """So relative paths in pipelines mean the same, wherever `batchord up` was typed."""
    try:
        start_background(own_home, [spec("where", f"import os; print(os.getcwd());{POLITE}")], folder=tmp_path)
        ready(own_home, "where", "ready")
        assert log(own_home, "where").splitlines()[0] == str(tmp_path)
    finally:
        stop_background(own_home)
