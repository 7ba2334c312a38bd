"""Sets up ``.venv``: ``python3 -m tools.setup run|demo|check|test|bench|sbom|lock``, usually through ``make``.

It uses only the standard library, since it runs before anything is installed. A stamp tells what is installed already,
so that a second call takes a fraction of a second. After an interruption, the next call continues.
"""

import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
NEWER = ("python3.13", "python3.12", "python3.11", "python3.14")


def require_python() -> None:
    """Continues with a newer Python if this one is too old. This function itself runs on any Python 3."""
    if sys.version_info >= OLDEST:
        return
    python = next((path for path in map(shutil.which, NEWER) if path and runs(path)), None)
    if python is None:
        sys.exit(
            "Batchord needs Python 3.11 or newer, and {} is {}.{}. Install one, or name it: "
            "make demo PYTHON=/path/to/python3.12".format(sys.executable, *sys.version_info[:2])
        )
    os.execv(python, [python, "-m", "tools.setup", *sys.argv[1:]])  # noqa: S606 (no shell is wanted)


def runs(path: str) -> bool:
    """Whether ``path`` is a working Python: version managers also have commands for versions that are not installed."""
    quiet = subprocess.DEVNULL
    return subprocess.call([path, "-c", ""], stdout=quiet, stderr=quiet) == 0  # noqa: S603 (found on the path)


def main() -> int:
    """Sets up what the target on the command line needs. Returns the exit status."""
    require_python()
    from tools.targets import run  # not earlier: an old Python could not read its syntax

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
