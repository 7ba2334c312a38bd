"""The lock files hold what pyproject.toml asks for, on every Python, and each file by its digest."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.locks import CHOSEN, CUDA_NAMES, DEV, LOCAL, LOCKS, RUN, SBOM, TORCH, Lock, build_requirements, outdated

ROOT = Path(__file__).parents[3]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
#: What the extra `models` stands for.
MODELS = [text for extra in Requirement(EXTRAS["models"][0]).extras for text in EXTRAS[extra]]
ASKED = {
    RUN: [*PROJECT["project"]["dependencies"], *MODELS, *build_requirements(PROJECT)],
    LOCAL: EXTRAS["local"],
    DEV: PROJECT["dependency-groups"]["dev"],
    SBOM: PROJECT["dependency-groups"]["sbom"],
}


def entries(file: Path) -> list[str]:
    """The requirements, each with its digests in one line."""
    text = "".join(line for line in file.read_text().splitlines(keepends=True) if not line.startswith("#"))
    return [" ".join(line.split()) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def applies(requirement: Requirement, python: str) -> bool:
    """Whether Python on Linux takes it."""
    environment = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux"}
    return requirement.marker is None or requirement.marker.evaluate(environment)


def locked(files: list[Path], python: str) -> dict[str, str]:
    """The version of each package that Python takes on Linux."""
    found = {}
    for entry in (entry for file in files for entry in entries(file)):
        requirement = Requirement(entry.partition(" --hash=")[0])
        if applies(requirement, python):
            found[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    return found


def test_the_locks_are_of_todays_pyproject() -> None:
    """Whoever changes what is asked for runs `make lock`."""
    assert outdated() == []


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ('"celery[redis]>=5.7.0,<6"', '"celery[redis]>=5.7.1,<6"'),
        ('requires = ["setuptools>=77"]', 'requires = ["setuptools>=78"]'),
        ('sbom = ["cyclonedx-bom>=7"]', 'sbom = ["cyclonedx-bom>=8"]'),
    ],
)
def test_a_change_of_what_is_asked_for_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, changed: str
) -> None:
    """Whichever part of pyproject.toml it is in; a change of anything else is none."""
    text = (ROOT / "pyproject.toml").read_text()
    assert line in text
    monkeypatch.setattr("tools.locks.ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text(text + "\n# no dependency\n")
    assert outdated() == []
    (tmp_path / "pyproject.toml").write_text(text.replace(line, changed))
    assert outdated() == ["run.txt", "local.txt", "dev.txt", "sbom.txt"]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("lock", ASKED, ids=lambda lock: lock.name)
def test_all_that_is_asked_for_is_locked(lock: Lock, python: str) -> None:
    """Within the limits of pyproject.toml."""
    files = [SBOM.path] if lock is SBOM else [*(each.path for each in LOCKS[: LOCKS.index(lock) + 1]), TORCH]
    versions = locked(files, python)
    for requirement in (each for each in map(Requirement, ASKED[lock]) if applies(each, python)):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize("file", [*(lock.path for lock in (*LOCKS, SBOM)), *CHOSEN], ids=lambda file: file.name)
def test_every_file_is_known_by_its_digest(file: Path) -> None:
    """And no address of an index stands in it."""
    found = entries(file)
    assert found
    for entry in found:
        assert re.fullmatch(r"[a-z0-9.-]+==[^ ;]+( ;( [^ ]+)+?)?( --hash=sha256:[0-9a-f]{64})+", entry), entry
    assert "://" not in file.read_text()


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_locks_agree(python: str) -> None:
    """A package that two of them have, for different machines, has one version; torch is in none."""
    alone = [locked([lock.path], python) for lock in LOCKS]
    together = locked([lock.path for lock in LOCKS], python)
    assert all(together[name] == version for versions in alone for name, version in versions.items())
    assert not {name for name in together if name == "torch" or name.startswith(CUDA_NAMES)}


def test_what_is_installed_is_whole() -> None:
    """Nothing that a package needs is missing, although no dependency was asked for when it was installed."""
    checked = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
