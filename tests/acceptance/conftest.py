"""Fixtures of the acceptance tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.localstack import ForkServer
from tests.acceptance.cluster import Cluster
from tests.forked_commands import ForkedCommands


@pytest.fixture
def cluster(
    settings_env: dict[str, str], database_url: str, tmp_path: Path, fork_server: ForkServer, commands: ForkedCommands
) -> Iterator[Cluster]:
    """A Batchord of this test alone; nothing of it runs until the test starts it."""
    with Cluster(
        settings_env, tmp_path, database_url=database_url, fork_server=fork_server, commands=commands
    ) as started:
        yield started


@pytest.fixture
def notes(cluster: Cluster) -> Cluster:
    """A table ``notes`` and a pipeline of the same name that is run by hand and measures their length."""
    create_notes(cluster)
    cluster.pipeline(
        "notes",
        """
        from batchord import Pipeline, SqlSource

        def length(frame):
            return frame["body"].str.len()

        notes = Pipeline(
            "notes",
            source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
            model=length,
        )
        """,
    )
    return cluster


def create_notes(cluster: Cluster) -> None:
    """An empty table ``notes``."""
    cluster.sql(
        "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, "
        "created_at timestamptz NOT NULL DEFAULT now())"
    )
