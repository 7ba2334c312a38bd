"""The lock files: the packages to install, with the digests of all allowed files, for all supported Pythons.

Each lock file adds to those before it, so that the image needs only the first. torch is not in them: the right build
depends on the machine, and each build has digests of its own.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.environment import REQUIREMENTS, ROOT

TORCH = REQUIREMENTS / "torch.txt"
#: Beginnings of the names of torch's CUDA packages. torch's wheel pins them.
CUDA_NAMES = ("nvidia-", "cuda-", "triton")
#: Installs only listed files, and runs no package's installation code, which might download other files.
AS_LOCKED = ("--no-deps", "--require-hashes", "--only-binary=:all:")
_STAMP = re.compile(r"^# Resolved from ([0-9a-f]{16})\b", re.MULTILINE)
_PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Lock:
    """One lock file: the closure of some parts of pyproject.toml, without that of the locks before it."""

    name: str
    #: Extras and dependency groups, besides those of the locks before it.
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    #: The first line of the file: what it is for.
    what: str

    @property
    def path(self) -> Path:
        """The path of the file."""
        return REQUIREMENTS / f"{self.name}.txt"


RUN = Lock(name="run", extras=("models",), what="What every process of Batchord runs with, torch apart")
LOCAL = Lock(name="local", extras=("local",), what="The embedded servers, besides run.txt")
DEV = Lock(name="dev", groups=("dev",), what="What checks and tests need, besides run.txt and local.txt")
LOCKS = (RUN, LOCAL, DEV)
#: Not one of LOCKS: a tool with an environment of its own.
SBOM = Lock(name="sbom", groups=("sbom",), what="What writes the bill of materials, in an environment of its own")
#: Lists of versions that people choose, without dependencies. `make lock` writes only their digests.
CHOSEN = tuple(REQUIREMENTS / f"{name}.txt" for name in ("bootstrap", "uv", "demo-data", "parquet"))


def pinned_torch() -> str:
    """``torch==VERSION``."""
    return next(line for line in TORCH.read_text().splitlines() if line.startswith("torch=="))


def pins(*files: Path) -> dict[str, str]:
    """``name==version`` by name. If a package has several versions for different Pythons, the last one counts."""
    return {pin["name"]: pin[0] for file in files for pin in _PIN.finditer(file.read_text())}


def older(installed: Mapping[str, str], *files: Path) -> dict[str, tuple[str, str]]:
    """The installed packages that are older than every version that the files allow: name → (installed, locked).

    A package may have several versions for different Pythons. A newer one is left out: people try it on purpose.
    """
    locked: dict[str, list[str]] = {}
    for file in files:
        for pin in _PIN.finditer(file.read_text()):
            locked.setdefault(pin["name"], []).append(pin["version"])
    return {
        name: (installed[name], min(versions, key=_numbers))
        for name, versions in sorted(locked.items())
        if name in installed and _numbers(installed[name]) < min(map(_numbers, versions))
    }


def _numbers(version: str) -> tuple[int, ...]:
    """The release of a version, without the zeros at its end: 2.13.0+cpu is 2.13."""
    release = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(number) for number in release[0].split(".")] if release else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def inputs() -> str:
    """Sixteen hexadecimal digits of a digest of the locks' inputs. Other lines of pyproject.toml do not count."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = (
        project["project"]["requires-python"],
        project["project"]["dependencies"],
        project["project"]["optional-dependencies"],
        [project["dependency-groups"][group] for group in ("dev", "sbom")],
        build_requirements(project),
        pinned_torch(),
    )
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]


def build_requirements(project: dict[str, Any]) -> list[str]:
    """The packages that build Batchord itself. They are installed before: a build would download them unchecked."""
    return [str(requirement) for requirement in project["build-system"]["requires"]]


def outdated() -> list[str]:
    """The lock files that were resolved from other inputs than the present pyproject.toml and torch.txt."""
    return [lock.path.name for lock in (*LOCKS, SBOM) if not _is_current(lock)]


def _is_current(lock: Lock) -> bool:
    stamp = _STAMP.search(lock.path.read_text()) if lock.path.exists() else None
    return stamp is not None and stamp[1] == inputs()
