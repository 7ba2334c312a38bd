"""The local stack: ``up``, ``down``, ``status``, ``migrate``."""

import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click

from batchord.project import find_project
from batchord.reports.stack import ProcessReport, ServerReport, StackReport
from batchord.settings import given_settings, settings

from .output import coloured, console, json_option, print_json, print_problems, table
from .terminal import foreign, text

#: How long to wait for the workers' answers.
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
    from batchord.wiring import catalog, decide_on_code

    from ..localstack import coming_supervisor, unconfigured_servers
    from ..localstack.background import refuse_second
    from ..localstack.holders import hold
    from ..localstack.home import open_home
    from ..localstack.interrupts import interrupted_once
    from .local_stack import prepare

    home = settings().home.expanduser().absolute()
    refuse_second(home)
    try:
        # Held until the supervisor holds it: no guard of an earlier command stops PostgreSQL meanwhile.
        with interrupted_once(), _all_or_nothing(home), hold(open_home(home)), coming_supervisor(home) as supervisor:
            with console.status("Starting the servers …"):
                stack = prepare()
            decide_on_code()
            catalog().snapshot()  # check the files now: the kept code may be from another release
            with closing(stack.claim), console.status("Starting workers, beat and Flower …"):
                supervisor.run(
                    stack.specs,
                    servers=unconfigured_servers(given_settings()),
                    folder=_project_folder(),
                    rotation=stack.rotation,
                )
                wait_for_workers({"control", "worker"})
                _wait_for_flower(stack.claim.port)
    except KeyboardInterrupt:
        console.print("Interrupted. Everything that was started is stopped again.")
        sys.exit(130)
    report = _status()
    if as_json:
        print_json(report.as_json())
    else:
        _print_status(report)
        console.print(f"\nFlower: {stack.flower}   logs: {stack.home / 'logs'}   stop: batchord down")
        console.print("`batchord status --password` shows Flower's user name and password.")
    if report.problems:
        sys.exit(1)


def _project_folder() -> Path | None:
    """The folder of batchord.toml, in which relative paths of pipelines mean the same wherever `up` was typed."""
    file, _ = find_project()
    return None if file is None else file.parent


@contextmanager
def _all_or_nothing(home: Path) -> Iterator[None]:
    """Stops everything if the block raises, since half a stack helps nobody."""
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
    from ..localstack import Server, server_status, stop_background

    with console.status("Stopping …"):
        stopped = stop_background(settings().home)
    held = any(each.name is Server.POSTGRES and each.pid is not None for each in server_status(settings().home))
    if as_json:
        print_json({"stopped": stopped, "held": held})
    else:
        console.print("Stopped." if stopped else "The local stack was not running.")
        if held:
            console.print("Another command still uses PostgreSQL, which stops by itself after that command.")


@click.command()
@click.option("--password", is_flag=True, help="Show Flower's user name and password.")
@json_option
def status(*, password: bool, as_json: bool) -> None:
    """Show the local stack's servers and processes, and the problems in pipeline files.

    The exit code is 1 when a server or process does not run, or a pipeline file is broken.
    """
    report, login = _status(), _flower_login() if password else {}
    if as_json:
        print_json(report.as_json() | login, unmasked=password)
    else:
        _print_status(report)
        if password:
            user, secret = login["flower_user"], login["flower_password"]
            click.echo(f"Flower's user name is {user}, its password {secret}")  # the person asked for it
    if not report.well:
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
    """Returns when a worker of each name answers. Raises ConfigurationError if one does not answer in time."""
    from batchord.core.errors import ConfigurationError

    from ..celery import app

    deadline = time.monotonic() + _READY_SECONDS
    missing = set(names)
    while missing and time.monotonic() < deadline:
        # ping() always waits for its whole time-out, so use short time-outs and repeat it.
        replies: list[dict[str, Any]] = app.control.ping(timeout=0.3)
        missing -= {node.partition("@")[0] for reply in replies for node in reply}
    if missing:
        raise ConfigurationError(
            f"These workers did not answer within {_READY_SECONDS} s: {', '.join(sorted(missing))}. "
            f"Read their logs in {settings().home / 'logs'}."
        )


def _wait_for_flower(port: int) -> None:
    """Returns when Flower listens, or after a while. Without Flower the rest still works; the status shows it."""
    deadline = time.monotonic() + _FLOWER_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return


def _status() -> StackReport:
    from batchord.wiring import catalog

    from ..localstack import background_status, lost_supervisor, server_status, unconfigured_servers
    from ..localstack.holders import is_guarded
    from .ledger_remarks import ledger_remarks
    from .local_stack import flower_address, flower_remark

    home = settings().home.expanduser().absolute()
    remarks, usable = _remarks()
    processes = background_status(home)
    flower_runs = any(each.name == "flower" and each.pid is not None for each in processes)
    if flower_runs and (flower := flower_remark(home)) is not None:
        remarks.append(flower)
    if usable:
        remarks += ledger_remarks(home)
    if is_guarded(home):
        remarks.append("A command started PostgreSQL, which stops by itself. `batchord up` starts the stack.")
    return StackReport(
        servers=[
            ServerReport(name=str(each.name), state=each.state, pid=each.pid, address=each.address)
            for each in server_status(home)
            if each.name in unconfigured_servers(given_settings())  # the others do not belong to the stack
        ],
        processes=[
            ProcessReport(
                name=each.name, state=str(each.state), pid=each.pid, restarts=each.restarts, uptime=each.uptime
            )
            for each in processes
        ],
        flower=flower_address(home),
        # A missing folder is no problem: people may start a stack before they write the first pipeline.
        problems=catalog().problems if settings().pipelines.is_dir() else [],
        remarks=remarks,
        database_usable=usable,
        lost_supervisor=lost_supervisor(home),
    )


def _remarks() -> tuple[list[str], bool]:
    """Rights that roles of a configured database do not need, and whether that database accepts a connection.

    Such a right is not a problem of the stack.
    """
    from batchord.core.errors import BatchordError
    from batchord.ledger.roles.powers import remarks

    if settings().database_url is None:
        return [], True
    try:
        return remarks(settings().database_roles(), connect_timeout=_LOOK_SECONDS), True
    except BatchordError as error:
        return [f"The configured database cannot be used: {error}"], False


def _print_remarks(remarks: Sequence[str]) -> None:
    for remark in remarks:
        console.print(text(("!", "yellow"), f" {foreign(remark)}"))


def _flower_login() -> dict[str, str]:
    """Flower's user name and password. Raises ConfigurationError if no password was made in this home."""
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


def _print_status(report: StackReport) -> None:
    if not report.started:
        console.print(report.advice or "The local stack is not running. Start it with `batchord up`.")
        print_problems(report.problems)
        _print_remarks(report.remarks)
        return
    rows: list[tuple[Any, ...]] = [
        (each.name, coloured(each.state), str(each.pid or "-"), None, None, each.address) for each in report.servers
    ]
    rows += [
        (
            each.name,
            coloured(each.state),
            str(each.pid or "-"),
            each.running_for,
            each.restarts,
            report.flower_at(each),
        )
        for each in report.processes
    ]
    columns = ("name", "state", ">pid", ">running for", ">restarts", "address")
    table("Local stack", columns, rows, empty="")
    if report.advice is not None:
        console.print(text(("✗", "red"), f" {report.advice}"))
    print_problems(report.problems)
    _print_remarks(report.remarks)
