"""What a page shows is compared with what its command prints."""

import pytest

from tests.pages.expected import comes_in

_PRINTED = """
Runs
run            pipeline  slot            state      seconds
01a22876-f028  reviews   11-29 18:00:00  succeeded      2.2

Flower: http://127.0.0.1:5555   logs: /dev/shm/reader/shop/.batchord/logs
step predict: model mood@498bc5ce3028+3ee5e600, ended at 2026-11-29T18:45:08.126343+00:00 after 0.8 s
"""


@pytest.mark.parametrize(
    "shown",
    [
        "run pipeline slot state seconds\n01a99999-abcd reviews 12-31 06:30:00 succeeded 2.2",
        "Flower: http://127.0.0.1:8123 logs: /home/anna/shop/.batchord/logs",
        "step predict: model mood@000000000000+11111111, ended at 2027-01-01T00:00:00Z after 12 s",
        "… reviews … succeeded …",
        "Runs\n…\nstep predict: model …",
    ],
)
def test_values_that_vary_are_alike(shown: str) -> None:
    """Ids, digests, times, seconds, ports, homes and blanks; and whatever ``…`` stands for."""
    assert comes_in(shown, _PRINTED, home="/dev/shm/reader")  # noqa: S108 -- a text


@pytest.mark.parametrize(
    "shown",
    [
        "01a22876-f028 reviews 11-29 18:00:00 failed 2.2",
        "reviews",
        "Runs\nstep predict: model …",
        "run pipeline slot state seconds\n01a22876-f028 reviews 11-29 18:00:00 succeeded 2.3",
    ],
)
def test_everything_else_must_be_printed(shown: str) -> None:
    """Whole lines, one right after the other."""
    assert not comes_in(shown, _PRINTED, home="/dev/shm/reader")  # noqa: S108 -- a text
