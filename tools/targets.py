"""Knows what each make target needs, and installs what is missing."""

import hashlib
import json
import os
import sys
import time
from pathlib import Path

from tools.demo_data import fetch_demo_data
from tools.environment import REQUIREMENTS, ROOT, Environment
from tools.lock import write_locks
from tools.locks import AS_LOCKED, DEV, LOCAL, RUN, TORCH, older, outdated, pins
from tools.sbom import write_sbom
from tools.terminal import SetupError, say
from tools.torch_build import AUTO, CHOICES, prepare_torch

#: Target -> its needs. The targets of ``OWN`` have environments of their own.
NEEDS = {
    "run": ("run",),
    "demo": ("run", "demo-data"),
    "check": ("run", "dev"),
    "test": ("run", "dev", "demo-data", "parquet"),
    "bench": ("run", "dev", "demo-data"),
    "peers": ("peers",),
    "sbom": ("sbom",),
    "lock": (),
}
OWN = {"peers": ".venv-peers", "sbom": ".venv-sbom"}
#: Packages that peers use in the same versions as Batchord.
ALIKE = ("psycopg", "psycopg-binary", "scikit-learn", "skops", "torch", "transformers")
STAMP = "setup-done.json"
#: The folder in the environment with the packages of parquet.txt, which only tests put on a process's path.
PARQUET = "share/batchord-parquet"


def run(arguments: list[str]) -> int:
    """Sets up what the target ``arguments[0]`` needs. Returns 0 on success."""
    target = arguments[0] if arguments else ""
    torch = os.environ.get("TORCH") or AUTO
    if target not in NEEDS or torch not in CHOICES:
        say(f"Usage: [TORCH={'|'.join(CHOICES)}] python3 -m tools.setup {'|'.join(NEEDS)}")
        return 2
    try:
        set_up(target, torch)
    except SetupError as problem:
        say(str(problem))
        return 1
    except KeyboardInterrupt:
        say("\nInterrupted. The same command goes on where this one stopped.")
        return 130
    return 0


def set_up(target: str, torch: str) -> None:
    """Installs what ``target`` needs and is missing. Raises SetupError."""
    environment = Environment(ROOT / OWN.get(target, ".venv"))
    if target == "lock":
        with environment.locked():
            environment.make()
            say(write_locks(environment, newest=bool(os.environ.get("NEWEST"))))
        return
    _install(environment, target, torch)
    if target not in OWN:
        _tell_older(environment, target)
    if target == "sbom":
        say(write_sbom(environment))


def _install(environment: Environment, target: str, torch: str) -> None:
    key = {"inputs": fingerprint(), "torch": torch}
    if not missing(environment, target, key):
        return
    started = time.monotonic()
    with environment.locked():
        needs = missing(environment, target, key)  # again: another set-up may have installed them meanwhile
        environment.make()
        if not needs:
            return
        if "run" in needs or "dev" in needs:
            if stale := outdated():
                raise SetupError(
                    f"pyproject.toml asks for something else than requirements/{', '.join(stale)} was resolved from: "
                    "run `make lock`, and commit what it writes."
                )
            first = environment.installed("celery") is None
            size = " (the first time: about 1.7 GB on disk, two minutes)" if first else ""
            say(f"Installing into {environment.path.name} what requirements/ locks{size}.")
            locks = (RUN, LOCAL, *((DEV,) if "dev" in NEEDS[target] else ()))
            files = [part for lock in locks for part in ("-r", str(lock.path))]
            environment.pip("install", *AS_LOCKED, *files, what="the packages that Batchord needs")
            prepare_torch(environment, torch)
            # Builds with the setuptools of run.txt: an isolated build would download setuptools unchecked.
            project = ("--no-deps", "--no-build-isolation", "-e", str(ROOT))
            environment.pip("install", *project, what="Batchord")
        if "demo-data" in needs:
            fetch_demo_data(environment)
        if "parquet" in needs:
            say("Installing what the tests read Parquet files with, in a folder of its own (280 MB on disk).")
            wanted = ("-r", str(REQUIREMENTS / "parquet.txt"))
            beside = ("--upgrade", "--target", str(environment.path / PARQUET))
            environment.pip("install", *AS_LOCKED, *wanted, *beside, what="what the tests read Parquet files with")
        if "peers" in needs:
            say("Installing into .venv-peers what requirements/peers.txt pins (about 2 GB on disk).")
            prepare_torch(environment, torch)
            locked = pins(RUN.path, TORCH)
            alike = [locked[name] for name in ALIKE]
            peers = ("-r", str(REQUIREMENTS / "peers.txt"), *alike)
            environment.pip("install", *peers, what="what Batchord is compared with")
        if "sbom" in needs:
            say("Installing into .venv-sbom what writes the list.")
            environment.pip("install", *AS_LOCKED, "-r", str(REQUIREMENTS / "sbom.txt"), what="cyclonedx-py")
        _stamp(environment, needs, key)
        seconds = time.monotonic() - started
        say(f"Ready in {seconds:.0f} s: {environment.packages()} packages, {environment.megabytes():,} MB.")


def _tell_older(environment: Environment, target: str) -> None:
    """Tells of packages that somebody has replaced by older ones since the set-up: tests may fail because of them."""
    locks = [RUN, LOCAL, *([DEV] if "dev" in NEEDS[target] else [])]
    behind = older(environment.versions(), *(lock.path for lock in locks), TORCH)
    if not behind:
        return
    named = ", ".join(f"{name} {installed} (the lock has {locked})" for name, (installed, locked) in behind.items())
    stamp = f"{environment.path.name}/{STAMP}"
    say(
        f"Older in {environment.path.name} than in requirements/: {named}. To install the locked versions, delete "
        f"{stamp} and repeat the command."
    )


def fingerprint() -> str:
    """A digest that changes when the packages to install or the place of the repository change."""
    digest = hashlib.sha256(f"{ROOT} {sys.version_info[:2]}".encode())
    for path in (ROOT / "pyproject.toml", *sorted(REQUIREMENTS.glob("*.txt"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def missing(environment: Environment, target: str, key: dict[str, str]) -> list[str]:
    """The needs of a target that are not installed as ``key`` says. TORCH=auto accepts any build."""
    done = _done(environment.path / STAMP)
    return [
        need
        for need in NEEDS[target]
        if done.get(need, {}).get("inputs") != key["inputs"]
        or (need == "run" and key["torch"] not in (AUTO, done[need]["torch"]))
    ]


def _done(stamp: Path) -> dict[str, dict[str, str]]:
    try:
        done: dict[str, dict[str, str]] = json.loads(stamp.read_text())
    except (FileNotFoundError, ValueError):  # there is none, or a full disk cut it off: then install everything again
        return {}
    return done


def _stamp(environment: Environment, needs: list[str], key: dict[str, str]) -> None:
    stamp = environment.path / STAMP
    draft = stamp.with_suffix(".draft")
    draft.write_text(json.dumps(_done(stamp) | dict.fromkeys(needs, key)))
    draft.replace(stamp)
