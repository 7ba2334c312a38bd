"""A real ledger for the read models."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.flow_parts import Bench


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """No records."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


@pytest.fixture
def predicted(bench: Bench) -> Bench:
    """Three predicted records, and the frontier at the last."""
    bench.insert(3)
    bench.declare()
    bench.run()
    bench.run()
    return bench
