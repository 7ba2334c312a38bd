"""The unit files of deploy/systemd are valid, fit Batchord's settings, and stand on their page as they are."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.configuration import QUEUES
from batchord.output.own_secrets import is_own_secret
from batchord.settings import Settings
from batchord.settings.allowed import is_secret

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").iterdir())
#: Without the marks for the tests that execute pages.
PAGE = re.sub(r"<!--.*?-->\n", "", (ROOT / "docs" / "how-to" / "systemd.md").read_text("utf-8"))
#: The seconds that a worker needs to hand back what could not end, as in the local stack.
_HAND_BACK_SECONDS = 15
_OPTION = re.compile(r"^(\w+)=(.*)$", re.MULTILINE)


def options(unit: Path, name: str) -> list[str]:
    """The values of an option, which may be given several times."""
    text = unit.read_text("utf-8").replace("\\\n", "")
    return [value for option, value in _OPTION.findall(text) if option == name]


def variables(unit: Path) -> dict[str, str]:
    """The unit's environment."""
    return dict(assignment.split("=", 1) for assignment in options(unit, "Environment"))


SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
LASTING = [unit for unit in SERVICES if unit.stem != "batchord-migrate"]
WORKERS = [unit for unit in SERVICES if unit.stem in {"batchord-control", "batchord-worker"}]


def named(units: list[Path]) -> pytest.MarkDecorator:
    """A test for each unit."""
    return pytest.mark.parametrize("unit", units, ids=[unit.name for unit in units])


def test_systemd_accepts_them(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say, with stand-ins for the programs and the user.

    Where systemd is not installed, their form is checked: sections and options, each line one of these.
    """
    for unit in UNITS:
        parsed = configparser.RawConfigParser(strict=False, interpolation=None)
        parsed.read_string(unit.read_text("utf-8"))
        assert set(parsed.sections()) == {"Unit", "Install"} | ({"Service"} if unit in SERVICES else set())
    program = shutil.which("systemd-analyze")
    if program is None:
        return
    for name in ("python", "batchord"):
        stand_in = tmp_path / "bin" / name
        stand_in.parent.mkdir(exist_ok=True)
        stand_in.write_text("#!/bin/sh\n")
        stand_in.chmod(0o755)
    for unit in UNITS:
        text = unit.read_text("utf-8").replace("/opt/batchord", str(tmp_path)).replace("User=batchord", "User=root")
        (tmp_path / unit.name).write_text(text)
    files = [tmp_path / unit.name for unit in UNITS]
    verified = subprocess.run(
        [program, "verify", "--man=no", *files], capture_output=True, text=True, check=False, timeout=60
    )
    assert (verified.stderr, verified.returncode) == ("", 0)


@named(UNITS)
def test_the_page_shows_each_unit_as_it_is(unit: Path) -> None:
    """Who copies from the page gets the file."""
    assert f"`deploy/systemd/{unit.name}`:\n\n```ini\n{unit.read_text('utf-8')}```\n" in PAGE


@named(SERVICES)
def test_variables_are_settings_and_secrets_are_credentials(unit: Path) -> None:
    """No variable holds a secret; each names the copy of a file that systemd loads, and each copy is used."""
    loaded = dict(credential.split(":", 1) for credential in options(unit, "LoadCredential"))
    assert loaded == {name: f"/etc/batchord/credentials/{name}" for name in loaded}
    given = {name: value for name, value in variables(unit).items() if name.startswith("BATCHORD_")}
    assert given == {f"BATCHORD_{name.upper()}_FILE": f"%d/{name}" for name in loaded}
    assert all(is_secret(Settings.model_fields[name]) for name in loaded)
    assert all(map(is_own_secret, given))


def test_each_service_gets_only_the_secrets_that_it_needs() -> None:
    """The owner is migrate's, the other roles the workers'; Flower has no author's, and beat comes to Redis alone."""
    got = {unit.stem: {each.partition(":")[0] for each in options(unit, "LoadCredential")} for unit in SERVICES}
    roles, store = {"database_url", "author_url", "source_url"}, {"s3_access_key_id", "s3_secret_access_key"}
    assert got == {
        "batchord-migrate": {"owner_url", *roles},
        "batchord-control": {"redis_url", *roles, *store},
        "batchord-worker": {"redis_url", *roles, *store},
        "batchord-beat": {"redis_url"},
        "batchord-flower": {"redis_url", "database_url", "source_url"},
    }


@named(LASTING)
def test_what_ends_is_started_again(unit: Path) -> None:
    """Without a limit: a server that is away for an hour is no reason to give up."""
    assert options(unit, "Restart") == ["always"]
    assert options(unit, "StartLimitIntervalSec") == ["0"]
    (command,) = options(unit, "ExecStart")
    assert command.startswith("/opt/batchord/bin/python -P -m batchord.app.celery_command ")


@named(WORKERS)
def test_a_stop_leaves_time_to_hand_back(unit: Path) -> None:
    """More than the setting's default and what the worker needs after it; the pool is told by the worker alone."""
    (seconds,) = options(unit, "TimeoutStopSec")
    assert int(seconds) >= Settings.model_fields["shutdown_seconds"].default + _HAND_BACK_SECONDS
    assert options(unit, "KillMode") == ["mixed"]
    assert variables(unit)["REMAP_SIGTERM"] == "SIGQUIT"


def test_every_queue_has_a_worker() -> None:
    """No message waits for ever."""
    served = [re.search(r" -Q (\S+)", options(unit, "ExecStart")[0]) for unit in WORKERS]
    assert sorted(",".join(match[1] for match in served if match).split(",")) == sorted(QUEUES)


def test_the_target_has_every_service() -> None:
    """`systemctl start` and `stop` of it reach all."""
    (target,) = (unit for unit in UNITS if unit.suffix == ".target")
    wanted = [name for names in options(target, "Wants") for name in names.split()]
    assert sorted(wanted) == [unit.name for unit in SERVICES]
    assert {options(unit, "PartOf")[0] for unit in SERVICES} == {target.name}
