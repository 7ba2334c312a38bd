"""``make sbom``: the bill of materials of an installation, in CycloneDX, from the lock files."""

from tools.environment import ROOT, Environment
from tools.locks import LOCAL, RUN, pinned_torch
from tools.terminal import SetupError

_OUTPUT = ROOT / "build" / "batchord.cdx.json"


def write_sbom(environment: Environment) -> str:
    """Writes the list with cyclonedx-py of ``environment``. Returns a sentence that says where. Raises SetupError.

    It reads the locks and not an environment, which would hold the developer's tools and no digests. It leaves out
    packages that only tests and checks need.
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
    return f"{_OUTPUT.relative_to(ROOT)}: the bill of materials, in CycloneDX."
