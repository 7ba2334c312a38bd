"""``make demo``: the whole path over real texts and images, with its own processes and servers."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click
import psycopg
from rich.live import Live

from app.cli.local_stack import prepare
from app.cli.output import console, json_option, print_json
from app.cli.stack import wait_for_workers
from app.cli.terminal import text
from app.localstack import ForkServer, Supervisor, stop_servers, unconfigured_servers
from app.localstack.background import refuse_second
from app.localstack.interrupts import interrupted_once
from batchord.core.errors import BatchordError, ConfigurationError
from batchord.settings import given_settings, settings
from demo import report
from demo.models import BuiltModel

#: How many records of each pipeline arrive while everything runs.
FRESH = {"reviews": 25, "news": 10, "photos": 10}
#: How long a phase may take on a slow machine before the demo gives up.
_PATIENCE_SECONDS = 900
_POLL_SECONDS = 0.25


@click.command()
@json_option
def demo(*, as_json: bool) -> None:
    """Watch Batchord work: three scheduled pipelines over real texts and images, on its own servers.

    Exits with 0 only if every record is predicted once or rejected with a reason.
    """
    home = settings().home.expanduser().absolute()
    refuse_second(home)
    if as_json:
        console.quiet = True
    started = time.monotonic()
    try:
        with interrupted_once(), _servers_stopped(home):
            results = _story(home)
    except KeyboardInterrupt:
        console.print("\nInterrupted; every process that the demo started is stopped.")
        sys.exit(130)
    if as_json:
        print_json(results)
    else:
        report.print_results(results, seconds=time.monotonic() - started)
    if not results["clean"]:
        sys.exit(1)


@contextmanager
def _servers_stopped(home: Path) -> Iterator[None]:
    """Stops the servers at the end of the block, also those that started before the supervisor."""
    try:
        yield
    finally:
        stop_servers(home)


def _story(home: Path) -> report.Results:
    console.print(text(("Batchord", "bold"), ": three pipelines over real records, on servers of its own."))
    console.print("The first time it takes two to four minutes on two cores: it builds three models.\n")
    _check_place(home)
    models = _models(home)
    with console.status("Starting PostgreSQL, Redis and an S3-compatible store …"):
        stack = prepare()
    _done(f"servers started on loopback, their data in {_near(home)}; the ledger's tables exist")
    before = report.newest_run()
    _load(models)
    fork_server = ForkServer()
    servers = unconfigured_servers(given_settings())
    supervisor = Supervisor(stack.specs, home, servers=servers, fork_server=fork_server, rotation=stack.rotation)
    with closing(stack.claim), fork_server, supervisor:
        with console.status("Starting two workers, beat and Flower …"):
            wait_for_workers({"control", "worker"})
        _done(f"celery -A app worker (2), beat and flower run; Flower: {stack.flower}")
        _watch("Beat's ticks start the runs:", supervisor, since=before)
        first = report.newest_run()
        _arrive()
        _watch("Fresh records arrived; the next runs take exactly those:", supervisor, since=before)
        return report.collect(before=before, first=first, fresh=FRESH, models=models, flower=stack.flower)


def _check_place(home: Path) -> None:
    """Raises ConfigurationError if the demo would build its models in a folder other than the pipelines' paths name."""
    from batchord.wiring import catalog

    folder = home / "demo" / "models"
    for name in report.PIPELINES:
        model = catalog().get(name).predict_steps[0].declared_model
        location = str(getattr(model, "location", ""))
        if not location.startswith("s3://") and Path(location).absolute().parent != folder:
            raise ConfigurationError(
                f"The demo would build its models in {folder}, and {catalog().folder / name}.py looks for them in "
                f"{Path(location).absolute().parent}: run the demo in the project's folder, without BATCHORD_HOME."
            )


def _models(home: Path) -> list[BuiltModel]:
    from demo.models import build_models

    with console.status("Building the models …") as status:
        built = build_models(home / "demo" / "models", lambda what: status.update(text(f"{what} …")))
    for model in built:
        _done(f"model {model.name}: {model.accuracy:.1%} of {model.n} {model.measure}")
    return built


def _load(models: list[BuiltModel]) -> None:
    from demo import load
    from demo.store import s3_client

    (pictures,) = [Path(model.location) for model in models if model.name.startswith("mobilenet")]
    with console.status("Loading texts and photos …"), _database() as connection:
        store = s3_client(settings())
        load.create_tables(connection)
        added = {
            "reviews": load.insert_reviews(connection),
            "news": load.insert_news(connection),
            "photos": load.insert_photos(connection, store),
        }
        location = load.upload_model(store, pictures, prefix="mobilenet-v2/1")
    counts = ", ".join(f"{count:,} {name}" for name, count in added.items() if count) or "all there from before"
    _done(f"records: {counts}; the image model is in {location}")


def _arrive() -> None:
    from demo import load
    from demo.store import s3_client

    with _database() as connection:
        load.insert_reviews(connection, fresh=FRESH["reviews"])
        load.insert_news(connection, fresh=FRESH["news"])
        load.insert_photos(connection, s3_client(settings()), fresh=FRESH["photos"])


@contextmanager
def _database() -> Iterator[psycopg.Connection]:
    with psycopg.connect(settings().database_roles().author, autocommit=True) as connection:
        yield connection


def _watch(title: str, supervisor: Supervisor, *, since: str | None) -> None:
    """Shows the progress until every record is accounted for and no run is open."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    console.print(f"\n{title}")
    with _database() as connection, Live(console=console, refresh_per_second=4) as live:
        while True:
            progress = report.progress(connection)
            live.update(report.progress_table(progress))
            if all(pipeline.finished for pipeline in progress):
                return
            if failed := report.failed_run(since):
                raise BatchordError(f"A run of {failed.pipeline} ended as {failed.state}: {failed.error}")
            if time.monotonic() > deadline:
                states = ", ".join(f"{process.name} {process.state}" for process in supervisor.status())
                raise BatchordError(
                    f"Not finished after {_PATIENCE_SECONDS} s ({states}): look into {settings().home / 'logs'}."
                )
            time.sleep(_POLL_SECONDS)


def _done(what: str) -> None:
    console.print(text(("✓", "green"), f" {what}"))


def _near(path: Path) -> str:
    """The path relative to the working directory, if it is below it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
