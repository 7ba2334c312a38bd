"""Where Flower's configuration comes from."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import app.dashboard
from app.dashboard.closing import close_flower
from batchord.core.errors import ConfigurationError

_ROOT = Path(__file__).parents[4]
#: Runs Flower's command up to the point where it would serve, and says how it would.
_PROGRAM = """
import flower.command, json, sys
from celery.bin.celery import celery
from tornado.options import options
class Stop(Exception): pass
def stop(): raise Stop
flower.command.extract_settings = stop
try:
    celery(["-A", "app", "flower", *sys.argv[1:]], standalone_mode=False)
except Stop:
    made = flower.command.Flower
    print(json.dumps([options.conf, options.address, options.basic_auth, getattr(made, "func", made).__name__]))
"""


def _flower(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BATCHORD_", "FLOWER_"))}
    told = {"BATCHORD_REDIS_URL": "redis://127.0.0.1:1/0", "BATCHORD_HOME": str(folder / "home")}
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        cwd=folder,
        env=inherited | told | {"PYTHONPATH": str(_ROOT)} | environment,
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )


def test_a_plain_flower_is_closed_and_on_loopback(tmp_path: Path) -> None:
    """By the file that is installed with the app, and not by one of the working directory."""
    (tmp_path / "flowerconfig.py").write_text("raise AssertionError('executed')")

    conf, address, (login,), made = json.loads(_flower(tmp_path).stdout)

    assert conf == str(Path(app.dashboard.__file__).with_name("flowerconfig.py"))
    assert (address, made) == ("127.0.0.1", "ClosedFlower")
    assert login == "batchord:" + (tmp_path / "home" / "flower.password").read_text().strip()


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("--address=0.0.0.0", "--basic_auth=a:b"), {}),
        ((), {"FLOWER_ADDRESS": "0.0.0.0", "FLOWER_BASIC_AUTH": "a:b"}),  # noqa: S104 -- a value, nobody listens
    ],
)
def test_what_is_given_holds(tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    """On the command line or in the environment; no password is made then."""
    _, *said = json.loads(_flower(tmp_path, *arguments, **environment).stdout)

    assert said == ["0.0.0.0", ["a:b"], "ClosedFlower"]  # noqa: S104 -- as above
    assert not (tmp_path / "home").exists()


def test_with_oauth_no_password_is_made(tmp_path: Path) -> None:
    """Flower's own way in asks then; the rest stays closed."""
    assert json.loads(_flower(tmp_path, "--auth=me@example.org").stdout)[2:] == [[], "ClosedFlower"]


@pytest.mark.parametrize("wrong", [["a-password"], [":"], ["name:"], [":password"], ["a:b", "c"]])
def test_a_login_that_is_none_closes_nothing(wrong: list[str]) -> None:
    """It would lock everybody out, or let everybody in."""
    options = SimpleNamespace(basic_auth=wrong, auth="", address="", url_prefix="", unix_socket="")
    with pytest.raises(ConfigurationError, match=r"has 1 entry without the form name:password"):
        close_flower(options)


def test_a_login_that_is_none_stops_flower_in_one_line(tmp_path: Path) -> None:
    """Before it listens."""
    done = _flower(tmp_path, FLOWER_BASIC_AUTH="a:b,c")

    assert done.returncode != 0
    assert "name:password" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_configuration_of_ones_own_can_begin_with_ours(tmp_path: Path) -> None:
    """It can add any settings of its own."""
    own = tmp_path / "own.py"
    own.write_text("from batchord.app.dashboard.flowerconfig import *\nport = 7777\n")

    conf, address, credentials, made = json.loads(_flower(tmp_path, FLOWER_CONF=str(own)).stdout)

    assert (conf, address, made) == (str(own), "127.0.0.1", "ClosedFlower")
    assert credentials
