"""``make lock``: resolves the dependencies of pyproject.toml for all Pythons at once, and writes the lock files."""

import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

from tools.environment import REQUIREMENTS, ROOT, Environment
from tools.locks import CHOSEN, CUDA_NAMES, LOCKS, SBOM, Lock, build_requirements, inputs, pinned_torch, pins
from tools.terminal import SetupError

_HEADER = """\
# {what}.
# Resolved from {inputs} by `make lock`, never edited by hand. `make lock NEWEST=1` takes newer versions.
# For Python 3.11 and newer, with the SHA-256 of every file that may be installed. torch and its CUDA packages are left
# out: see torch.txt.
"""


def write_locks(environment: Environment, *, newest: bool) -> str:
    """Resolves everything and writes the lock files. Returns a sentence about the changes. Raises SetupError.

    ``newest``: whether to take the newest versions that pyproject.toml allows. Otherwise locked versions that still fit
    are kept.
    """
    files = [lock.path for lock in (*LOCKS, SBOM)]
    before = set(pins(*(file for file in files if file.exists())).values())
    environment.pip("install", "--require-hashes", "-r", str(REQUIREMENTS / "uv.txt"), what="uv")
    with tempfile.TemporaryDirectory() as folder:
        preferred = "" if newest else "".join(file.read_text() for file in files if file.exists())
        resolver = _Resolver(environment, Path(folder), preferred)
        _write_layers(resolver)
        _write(SBOM, _entries(resolver.resolve([f"--group={group}" for group in SBOM.groups])))
        for file in CHOSEN:
            comment = "".join(line for line in file.read_text().splitlines(keepends=True) if line.startswith("#"))
            file.write_text(comment + resolver.resolve(["--no-deps"], *pins(file).values()))
    now = set(pins(*files).values())
    return f"{len(now)} packages are locked, {len(now - before)} of them new or at another version."


def _write_layers(resolver: "_Resolver") -> None:
    build = build_requirements(tomllib.loads((ROOT / "pyproject.toml").read_text()))
    # First resolve all locks together: the locks that build on each other must come from a single resolution.
    resolver.hold(pinned_torch())
    resolver.hold(resolver.resolve(_parts(LOCKS), *build))
    written: set[str] = set()
    for number, lock in enumerate(LOCKS, 1):
        entries = _entries(resolver.resolve(_parts(LOCKS[:number]), *build))
        _write(lock, [entry for entry in entries if entry not in written])
        written.update(entries)


def _parts(locks: Sequence[Lock]) -> list[str]:
    extras = [f"--extra={extra}" for lock in locks for extra in lock.extras]
    return ["pyproject.toml", *extras, *(f"--group={group}" for lock in locks for group in lock.groups)]


def _write(lock: Lock, entries: Iterable[str]) -> None:
    kept = [entry for entry in entries if not entry.startswith(("torch==", *CUDA_NAMES))]
    lock.path.write_text(_HEADER.format(what=lock.what, inputs=inputs()) + "".join(kept))


class _Resolver:
    """Resolves with uv, for all versions of Python and all machines at once, with markers."""

    def __init__(self, environment: Environment, folder: Path, preferred: str) -> None:
        """``preferred``: the versions to keep if they fit."""
        self._environment = environment
        self._preferred = preferred
        self._requirements, self._held, self._output = (folder / name for name in ("in.txt", "held.txt", "out.txt"))
        self._held.touch()

    def hold(self, requirements: str) -> None:
        """Makes all later resolutions keep to these versions."""
        self._held.write_text(requirements + "\n")

    def resolve(self, parts: Sequence[str], *requirements: str) -> str:
        """The closure of these parts of pyproject.toml and ``requirements``, with digests. Raises SetupError."""
        self._requirements.write_text("".join(f"{requirement}\n" for requirement in requirements))
        self._output.write_text(self._preferred)  # uv keeps to the versions that it finds in its output file
        failed = self._environment.run(
            [
                *(str(self._environment.path / "bin" / "uv"), "pip", "compile", *parts, str(self._requirements)),
                *("--universal", "--python-version=3.11", "--generate-hashes", "--no-annotate", "--no-header"),
                *("--quiet", "--no-config", f"--constraints={self._held}", f"--output-file={self._output}"),
            ]
        )
        if failed is not None:
            output = "\n".join(f"  {line}" for line in failed)
            raise SetupError(f"The dependencies of pyproject.toml cannot be resolved:\n{output}")
        return self._output.read_text()


def _entries(text: str) -> list[str]:
    """The requirements with their digests, several lines each."""
    entries: list[str] = []
    for line in text.splitlines(keepends=True):
        if line[0].isspace():
            entries[-1] += line
        else:
            entries.append(line)
    return entries
