"""A mistyped command is answered with the one that was meant."""

import pytest
from click.testing import CliRunner

from app.cli import batchord


@pytest.mark.parametrize(("typed", "meant"), [("shwo", " Did you mean 'show'?"), ("xyzzy", "")])
def test_a_command_that_does_not_exist(typed: str, meant: str) -> None:
    """One that resembles nothing gets click's own words alone."""
    result = CliRunner().invoke(batchord, [typed])

    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, f"Error: No such command '{typed}'.{meant}")
