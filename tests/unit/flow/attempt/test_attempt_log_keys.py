"""A private key that an attempt prints line by line is not kept, whatever else is left out."""

import pytest

from batchord.core.secrets.patterns import masked
from tests.contracts.kept_logs import KeptLogs
from tests.unit.flow.attempt.attempt_logs import opened

KEY = [
    "-----BEGIN PRIVATE KEY-----",
    *(f"{number:04}MIIEvQIBADANBgkqhkiG9w0" for number in range(200)),
    "-----END PRIVATE KEY-----",
]


@pytest.mark.parametrize("limit_bytes", [1_000_000, 4096])
def test_its_lines_are_masked(limit_bytes: int) -> None:
    """Also where its beginning is among the lines that are left out."""
    store = KeptLogs()
    with opened(store, limit_bytes=limit_bytes, mask=masked) as log:
        for line in ["before", *["x" * 60] * 20, *KEY, "after"]:
            log.line("stdout", line)

    messages = [line.message for part in store.parts for line in part.lines]
    assert not any("MIIE" in message for message in messages)
    assert (messages[0], messages[-1]) == ("before", "after")
    assert "***" in messages
