"""Sets up ``.venv``: ``python3 -m tools.setup run|demo|check|test|bench|sbom|lock``, usually through ``make``.

Uses the standard library only, since it runs before anything is installed. What is there already is
found by a stamp, so that a second call costs a fraction of a second; an interrupted one goes on where
it stopped.
"""

import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
NEWER = ("python3.13", "python3.12", "python3.11", "python3.14")


def require_python() -> None:
    """Go on with a newer Python where this one is too old; this function itself runs on any Python 3."""
    if sys.version_info >= OLDEST:
        return
    found = next((path for path in map(shutil.which, NEWER) if path and runs(path)), None)
    if found is None:
        sys.exit(
            "Batchord needs Python 3.11 or newer, and {} is {}.{}. Install one, or name it: "
            "make demo PYTHON=/path/to/python3.12".format(sys.executable, *sys.version_info[:2])
        )
    os.execv(found, [found, "-m", "tools.setup", *sys.argv[1:]])  # noqa: S606 (no shell is wanted)


def runs(path: str) -> bool:
    """Whether it is a Python: version managers put commands on the path for versions that are not installed."""
    quiet = subprocess.DEVNULL
    return subprocess.call([path, "-c", ""], stdout=quiet, stderr=quiet) == 0  # noqa: S603 (found on the path)


def main() -> int:
    """Set up what the target named on the command line needs; the exit status."""
    require_python()
    from tools.targets import run  # only now: its syntax is newer than the oldest Python that may get here

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
