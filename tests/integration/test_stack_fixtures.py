"""What the other tests build on: corners of real servers that are empty, and theirs alone."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import psycopg
import pytest
import redis

from tests.forked_commands import ForkedCommands
from tests.waiting import wait_until

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_corners_of_its_own(
    turn: int, empty_database_url: str, redis_url: str, bucket: str, s3: "S3Client"
) -> None:
    """What one test leaves behind, the next one does not see."""
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1")
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys() == []
        client.set("mine", turn)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    s3.put_object(Bucket=bucket, Key="mine", Body=b"1")


def test_databases_are_copied_from_a_template(create_database: Callable[[str | None], str]) -> None:
    """A copy has the template's tables and its own rows."""
    template = create_database(None)
    with psycopg.connect(template) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
    copy = create_database(template.rpartition("/")[2])
    with psycopg.connect(copy) as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(1,)]


def test_waiting_gives_the_value_or_names_what_did_not_happen() -> None:
    """The first truthy value is returned; at the deadline the last one is in the message."""
    values = iter([0, "", "there"])
    assert wait_until(lambda: next(values), description="a value", interval=0) == "there"
    with pytest.raises(AssertionError, match=r"the moon is blue \(last value: 0\)"):
        wait_until(lambda: 0, description="the moon is blue", timeout=0)


def test_commands_of_clusters_can_be_forks(commands: ForkedCommands, settings_env: dict[str, str]) -> None:
    """Otherwise each would import Batchord anew, and nothing but the time of the tests would tell."""
    assert commands.can_fork({**os.environ, **settings_env})
