"""How much memory a worker's process may take."""

import pytest

from workers.memory import limit_bytes

_GB = 1024**3


@pytest.mark.parametrize(
    ("configured_mb", "processes", "total", "limit"),
    [
        (1000, 8, 16 * _GB, 1000 * 1024 * 1024),
        (None, 2, 20 * _GB, 9 * _GB),
        # Many processes share: each may take as much as a model of some size needs.
        (None, 16, 20 * _GB, 4 * _GB),
        # Where the machine itself has less, nine tenths of it.
        (None, 4, 2 * _GB, int(2 * _GB * 0.9)),
    ],
)
def test_a_process_gets_its_share(configured_mb: int | None, processes: int, total: int, limit: int) -> None:
    """What is configured; else its share, and never less than 4 GiB where the machine has that."""
    assert limit_bytes(configured_mb, processes=processes, total=total) == limit
