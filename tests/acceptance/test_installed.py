"""Batchord as it is installed: a wheel in an environment of its own, in a project that has its own ``app``."""

import json
import os
import subprocess
import sys
import sysconfig
import textwrap
import venv
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.localstack import ProcessSpec, Supervisor, stop_background
from tests.acceptance.own_stack import OwnStack
from tests.waiting import wait_until

_ROOT = Path(__file__).parents[2]
_FILES = {
    "app/__init__.py": "",
    "app/features.py": "def clean(texts):\n    return texts.str.strip().str.len()\n",
    # Celery looks for these when it is started with `-A app`. Batchord must not.
    "app/celery.py": "raise SystemExit('the project's own app was started')\n",
    "workers/__init__.py": "raise SystemExit('the project\\'s own workers were imported')\n",
    "beat/__init__.py": "raise SystemExit('the project\\'s own beat was imported')\n",
    "pipelines/texts.py": """
        from app.features import clean
        from batchord import Pipeline, SqlSource

        def length(frame):
            return clean(frame["body"])

        texts = Pipeline(
            "texts",
            source=SqlSource("SELECT id, ' abc ' AS body FROM generate_series(1, 20) AS id", key="id"),
            model=length,
        )
    """,
}

#: One group: the wheel is built once.
pytestmark = [pytest.mark.xdist_group("wheel")]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the repository, so that the build's files stay out of the original."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    copy.mkdir()
    for name in ("batchord", "app", "workers", "beat", "pyproject.toml", "README.md", "LICENSE"):
        (copy / name).symlink_to(_ROOT / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(copy)]
    subprocess.run([*command, "--quiet", "--disable-pip-version-check"], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel, and with this environment's libraries but not its Batchord."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index"]
    subprocess.run([*install, "--quiet", "--disable-pip-version-check", str(wheel)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # A folder that is named in such a file is searched, but its own files of that kind, such as the one that leads to
    # the repository, are not read.
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with packages ``app``, ``workers`` and ``beat``, and a pipeline that needs the first."""
    for name, text in _FILES.items():
        file = tmp_path / "project" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    return tmp_path / "project"


@pytest.fixture
def installed(python: Path, project: Path, own_home: Path) -> Iterator[OwnStack]:
    """The environment's own ``batchord``, called in the project."""
    command = [str(python.with_name("batchord"))]
    yield OwnStack(own_home, project / "pipelines", folder=project, command=command)
    stop_background(own_home)


def test_a_wheel_holds_batchord_alone(wheel: Path) -> None:
    """It installs no other top-level name, and it contains the ledger's migrations and the mark of typed packages."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"batchord"}
    for module in ("app/cli/run.py", "app/celery.py", "app/dashboard/door.py", "workers/tasks.py", "beat/schedule.py"):
        assert f"batchord/{module}" in names
    assert "batchord/py.typed" in names
    migrations = {file.name for file in (_ROOT / "batchord/ledger/migrations/versions").glob("*.py")}
    assert {name.rpartition("/")[2] for name in names if "/migrations/versions/" in name} == migrations


def test_a_project_uses_its_own_app(installed: OwnStack) -> None:
    """``up``, ``run``, ``call`` and ``down`` beside packages ``app``, ``workers`` and ``beat`` of the project's own."""
    up = installed.batchord("up")
    assert (up.returncode, up.stderr) == (0, "")

    ended = json.loads(installed.batchord("run", "texts", "--wait", "--json").stdout)
    python = str(Path(installed.command[0]).with_name("python"))
    called = subprocess.run(
        [python, "-m", "celery", "-A", "batchord.app", "call", "batchord.start_run", '--kwargs={"pipeline": "texts"}'],
        cwd=installed.folder,
        env=installed.environment,
        text=True,
        capture_output=True,
        check=False,
    )

    assert (ended["state"], ended["predicted"]) == ("succeeded", 20)
    assert (called.returncode, called.stderr) == (0, "")
    wait_until(
        lambda: len(json.loads(installed.batchord("runs", "--json").stdout)) == 2,
        description="the run that was called for is there",
        timeout=60,
        interval=1,
    )
    assert installed.batchord("down").returncode == 0
    assert installed.processes() == []


def test_celery_runs_what_is_installed(
    python: Path, project: Path, settings_env: dict[str, str], tmp_path: Path
) -> None:
    """``celery -A batchord.app worker``, ``beat`` and ``flower``, in the project's folder as a person types it."""
    environment = {**os.environ, **settings_env, "BATCHORD_PIPELINES": str(project / "pipelines")}
    ready = {"worker -P threads": " ready.", "beat --pidfile=": "beat: Starting", "flower --port=0": "Visit me at"}
    there, celery = ("/bin/sh", "-c", 'cd "$0" && exec "$@"', str(project)), ("-m", "celery", "-A", "batchord.app")
    with ExitStack() as running:
        for command, text in ready.items():
            name = command.split()[0]
            supervisor = Supervisor(
                [
                    ProcessSpec(
                        name=name,
                        command=(*there, str(python), *celery, *command.split(), "-l", "info"),
                        env=environment,
                    )
                ],
                tmp_path / name,
            )
            running.enter_context(supervisor)
            log = tmp_path / name / "logs" / f"{name}.log"
            wait_until(
                lambda log=log, text=text: log.exists() and text in log.read_text(),  # type: ignore[misc]
                description=f"{name} is up",
                timeout=60,
            )
