"""PgBouncer in front of the tests' PostgreSQL."""

from collections.abc import Callable, Iterator

import pytest

from tests.pooler import Pooler, pgbouncer


@pytest.fixture(scope="session")
def pooler(superuser_url: str) -> Iterator[Pooler]:
    """A PgBouncer of this test run alone."""
    program = pgbouncer()
    if program is None:
        pytest.fail("These tests need PgBouncer, which is not installed: apt-get install pgbouncer.", pytrace=False)
    with Pooler(program, superuser_url) as pooler:
        yield pooler


@pytest.fixture
def pooled(pooler: Pooler) -> Callable[[str], str]:
    """Turns a database's address into the same by way of the pooler."""
    return pooler.through
