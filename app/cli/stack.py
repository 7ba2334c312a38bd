"""The local stack: ``up``, ``down``, ``status``, ``migrate``."""

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from batchord.catalog import Problem
from batchord.settings import settings

from .output import coloured, console, json_option, print_json, print_problems, table
from .terminal import foreign, text

#: How long the workers may take until they answer.
_READY_SECONDS = 60
_FLOWER_SECONDS = 30
#: How long `status` waits for the database.
_LOOK_SECONDS = 3


@click.command()
@json_option
def up(*, as_json: bool) -> None:
    """Start the local stack in the background: the servers that you have not configured, workers, beat, Flower.

    The exit code is 1 when a pipeline file is broken. Everything else runs all the same.
    """
    from batchord.wiring import decide_on_code

    from ..localstack import start_background, unconfigured_servers
    from ..localstack.background import refuse_second
    from ..localstack.interrupts import interrupted_once
    from .local_stack import prepare

    home = settings().home.expanduser().absolute()
    refuse_second(home)
    try:
        with interrupted_once(), _all_or_nothing(home):
            with console.status("Starting the servers …"):
                stack = prepare()
            decide_on_code()
            with closing(stack.claim), console.status("Starting workers, beat and Flower …"):
                start_background(stack.home, stack.specs, servers=unconfigured_servers(os.environ))
                wait_for_workers({"control", "worker"})
                _wait_for_flower(stack.claim.port)
    except KeyboardInterrupt:
        console.print("Interrupted. Everything that was started is stopped again.")
        sys.exit(130)
    found = _status()
    if as_json:
        print_json(found)
    else:
        _print_status(found)
        console.print(f"\nFlower: {stack.flower}   logs: {stack.home / 'logs'}   stop: batchord down")
        console.print("`batchord status --password` shows Flower's user name and password.")
    if found["problems"]:
        sys.exit(1)


@contextmanager
def _all_or_nothing(home: Path) -> Iterator[None]:
    """Stops everything when the block raises: half a stack helps nobody."""
    from ..localstack import stop_background

    try:
        yield
    except BaseException:
        stop_background(home)
        raise


@click.command()
@json_option
def down(*, as_json: bool) -> None:
    """Stop the local stack. Running shards continue at the next start; no data is lost."""
    from ..localstack import stop_background

    with console.status("Stopping …"):
        stopped = stop_background(settings().home)
    if as_json:
        print_json({"stopped": stopped})
    else:
        console.print("Stopped." if stopped else "The local stack was not running.")


@click.command()
@click.option("--password", is_flag=True, help="Show Flower's user name and password.")
@json_option
def status(*, password: bool, as_json: bool) -> None:
    """Show the local stack's servers and processes, and the problems in pipeline files.

    The exit code is 1 when a server or process does not run, or a pipeline file is broken.
    """
    found = _status() | (_flower_login() if password else {})
    if as_json:
        print_json(found, unmasked=password)
    else:
        _print_status(found)
        if password:
            user, secret = found["flower_user"], found["flower_password"]
            click.echo(f"Flower's user name is {user}, its password {secret}")  # asked for: nothing is masked
    if not found["well"]:
        sys.exit(1)


@click.command()
@json_option
def migrate(*, as_json: bool) -> None:
    """Bring the ledger's tables and the roles' rights up to date. Run it at every deploy; repeating it is safe."""
    from batchord.ledger.roles.powers import remarks
    from batchord.ledger.roles.preparing import prepare_database

    roles = settings().database_roles()
    prepare_database(roles)
    told = remarks(roles)
    if as_json:
        print_json({"migrated": True, "remarks": told})
    else:
        console.print("The ledger's tables are up to date.")
        _print_remarks(told)


def wait_for_workers(names: set[str]) -> None:
    """Returns when a worker of each name answers. Raises ConfigurationError when one does not in time."""
    from batchord.core.errors import ConfigurationError

    from ..celery import app

    deadline = time.monotonic() + _READY_SECONDS
    missing = set(names)
    while missing and time.monotonic() < deadline:
        # ping() waits for its whole timeout, however soon the answers come: ask briefly and often.
        replies: list[dict[str, Any]] = app.control.ping(timeout=0.3)
        missing -= {node.partition("@")[0] for reply in replies for node in reply}
    if missing:
        raise ConfigurationError(
            f"These workers did not answer within {_READY_SECONDS} s: {', '.join(sorted(missing))}. "
            f"Read their logs in {settings().home / 'logs'}."
        )


def _wait_for_flower(port: int) -> None:
    """Returns when Flower listens. One that does not in time is no reason to stop the rest: the status shows it."""
    deadline = time.monotonic() + _FLOWER_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return


def _status() -> dict[str, Any]:
    from batchord.wiring import catalog

    from ..localstack import background_status, server_status, unconfigured_servers
    from .local_stack import flower_address

    home = settings().home.expanduser().absolute()
    servers: list[dict[str, Any]] = [
        {"name": str(each.name), "state": each.state, "pid": each.pid, "address": each.address}
        for each in server_status(home)
        if each.name in unconfigured_servers(os.environ)  # the others are somebody else's
    ]
    processes: list[dict[str, Any]] = [
        {"name": each.name, "state": str(each.state), "pid": each.pid, "restarts": each.restarts, "uptime": each.uptime}
        for each in background_status(home)
    ]
    running = bool(processes) and all(each["state"] == "running" for each in [*processes, *servers])
    # Of a folder that is not there nothing is broken: who starts a stack may write the first pipeline later.
    problems = [asdict(problem) for problem in catalog().problems] if settings().pipelines.is_dir() else []
    said, usable = _remarks()
    return {
        "servers": servers,
        "processes": processes,
        "flower": flower_address(home),
        "problems": problems,
        "remarks": said,
        "well": running and usable and not problems,
    }


def _remarks() -> tuple[list[str], bool]:
    """What the roles of a configured database may do and need not, and whether that database lets us in.

    Nothing is wrong with the stack for what a role may do.
    """
    from batchord.core.errors import BatchordError
    from batchord.ledger.roles.powers import remarks

    if settings().database_url is None:
        return [], True
    try:
        return remarks(settings().database_roles(), connect_timeout=_LOOK_SECONDS), True
    except BatchordError as error:
        return [f"The configured database cannot be used: {error}"], False


def _print_remarks(remarks: list[str]) -> None:
    for remark in remarks:
        console.print(text(("!", "yellow"), f" {foreign(remark)}"))


def _flower_login() -> dict[str, str]:
    """What opens Flower. Raises ConfigurationError when nothing was made here."""
    from batchord.core.errors import ConfigurationError

    from ..dashboard.password import USER, kept_password

    given = os.environ.get("FLOWER_BASIC_AUTH", "").partition(",")[0]
    if given:
        user, _, password = given.partition(":")
        return {"flower_user": user, "flower_password": password}
    home = settings().home.expanduser().absolute()
    kept = kept_password(home)
    if kept is None:
        raise ConfigurationError(f"{home} has no password for Flower yet. `batchord up` makes one.")
    return {"flower_user": USER, "flower_password": kept}


def _print_status(found: dict[str, Any]) -> None:
    if not any(each["pid"] for each in [*found["servers"], *found["processes"]]):
        console.print("The local stack is not running. Start it with `batchord up`.")
        print_problems(Problem(**each) for each in found["problems"])
        _print_remarks(found["remarks"])
        return
    rows = [(each["name"], coloured(each["state"]), each["pid"], each["address"] or "") for each in found["servers"]]
    for each in found["processes"]:
        up_for = f"for {each['uptime']:.0f} s" if each["state"] == "running" else ""
        restarted = f", restarted {each['restarts']} times" if each["restarts"] else ""
        address = found["flower"] or "" if each["name"] == "flower" and each["state"] == "running" else ""
        rows.append((each["name"], coloured(each["state"]), each["pid"], address or up_for + restarted))
    rows = [(name, state, str(pid or "-"), more) for name, state, pid, more in rows]
    table("Local stack", ("name", "state", ">pid", ""), rows, empty="")
    print_problems(Problem(**each) for each in found["problems"])
    _print_remarks(found["remarks"])
