"""``make lock``: writes requirements/constraints.txt, the versions that are tested together."""

import json
import tempfile
from pathlib import Path

from tools.environment import CONSTRAINTS, ROOT, Environment
from tools.torch_build import CUDA_NAMES, pinned_torch

_HEADER = """\
# The versions that are tested together, on Linux x86_64 with Python 3.11. Written by `make lock`, which takes
# the newest that pyproject.toml admits. torch alone stays as it is, since its version decides what its CUDA
# packages are and shifts scores in the last digits: change its line by hand, then run `make lock`.
# CUDA packages are left out: torch pins its own.
"""


def write_constraints(environment: Environment) -> str:
    """Resolve everything anew and write the lock; a sentence that says what changed. Raises SetupError."""
    before = set(_pins(CONSTRAINTS.read_text()))
    with tempfile.TemporaryDirectory() as folder:
        held, report = Path(folder, "held.txt"), Path(folder, "report.json")
        held.write_text(pinned_torch() + "\n")
        plan = ("--dry-run", "--ignore-installed", "--quiet", "--report", str(report), "-c", str(held))
        project = (f"{ROOT}[models,local]", "--group", "dev")
        environment.pip("install", *plan, *project, what="a fresh resolution")
        packages = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    lines = sorted(
        # A local label such as +cpu names a build, not a version: the lock holds for every build.
        f"{package['name'].lower().replace('_', '-')}=={package['version'].split('+')[0]}"
        for package in packages
        if package["name"] != "batchord" and not package["name"].startswith(CUDA_NAMES)
    )
    CONSTRAINTS.write_text(_HEADER + "\n".join(lines) + "\n")
    changed = len(set(lines) - before)
    return f"{CONSTRAINTS.relative_to(ROOT)}: {len(lines)} packages, {changed} of them new or at another version."


def _pins(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]
