"""Lets bash read a command without executing it."""

import os
import subprocess
from datetime import timedelta


def syntax_problems(command: str, time_limit: timedelta) -> list[str]:
    """What bash says about the syntax of the command; empty if it can be read, or if this machine has no bash."""
    try:
        read = subprocess.run(  # noqa: S603 -- bash reads it and executes nothing
            ["bash", "-n", "-c", "--", command],  # noqa: S607 -- as the step does
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},  # BASH_ENV would be executed
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=time_limit.total_seconds(),
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return []
    if read.returncode == 0:
        return []
    first_line = (read.stderr.strip().splitlines() or ["it gives no reason"])[0]
    return [f"bash cannot read command=: {first_line.removeprefix('bash: -c: ')}"]
