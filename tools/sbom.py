"""``make sbom``: the bill of materials of an installation, in CycloneDX, from the lock files."""

from tools.environment import ROOT, Environment
from tools.locks import LOCAL, RUN, pinned_torch
from tools.terminal import SetupError

_OUTPUT = ROOT / "build" / "batchord.cdx.json"


def write_sbom(environment: Environment) -> str:
    """Write the list; a sentence that says where. ``environment`` has cyclonedx-py. Raises SetupError.

    From the locks, not from an environment: that would have the developer's tools in it, and not the digests. What only
    tests and checks need is left out.
    """
    _OUTPUT.parent.mkdir(exist_ok=True)
    wanted = environment.path / "locked.txt"
    wanted.write_text("".join(lock.path.read_text() for lock in (RUN, LOCAL)) + pinned_torch() + "\n")
    failed = environment.run(
        [
            *(str(environment.path / "bin" / "cyclonedx-py"), "requirements", str(wanted)),
            *("--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application"),
            *("--output-reproducible", "--output-format", "JSON", "--output-file", str(_OUTPUT)),
        ]
    )
    if failed is not None:
        raise SetupError("\n".join(["cyclonedx-py failed:", *(f"  {line}" for line in failed)]))
    return f"{_OUTPUT.relative_to(ROOT)}: what Batchord is made of, in CycloneDX."
