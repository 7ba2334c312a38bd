"""Chooses the build of torch. Users are told before they get gigabytes of CUDA packages."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from tools.environment import REQUIREMENTS, Environment
from tools.locks import CUDA_NAMES, pinned_torch
from tools.terminal import SetupError, say

AUTO, CPU, DEFAULT = "auto", "cpu", "default"
CHOICES = (AUTO, CPU, DEFAULT)
#: The size of torch 2.13's wheel and its CUDA 13 packages for Linux x86_64, according to the index.
CUDA_GIGABYTES = 2.7


def prepare_torch(environment: Environment, choice: str) -> None:
    """Installs torch. Call it after all its other dependencies are installed.

    ``default`` is the build that pip chooses, and ``cpu`` is the CPU build. ``auto`` takes pip's build if it brings no
    CUDA packages or if there is an NVIDIA driver, otherwise the CPU build. Raises SetupError, which names both choices.
    """
    present = environment.installed("torch")
    if choice == DEFAULT and present and present.endswith("+cpu"):
        environment.pip("uninstall", "--yes", "torch", what="another build of torch")
    if choice == DEFAULT or not sys.platform.startswith("linux"):  # elsewhere there is only the CPU build
        _install_default_build(environment)
        return
    if present and (choice == AUTO or present.endswith("+cpu")) and present.split("+")[0] in pinned_torch():
        return
    cuda = cuda_packages(environment)
    if not cuda:
        _install_default_build(environment)
        return
    if choice == AUTO and has_nvidia_driver():
        say(
            f"torch brings {len(cuda)} CUDA packages for this machine's NVIDIA card: {CUDA_GIGABYTES} GB to "
            "download. Stop with Ctrl-C and add TORCH=cpu for the CPU build (0.2 GB)."
        )
        _install_default_build(environment)
        return
    say(
        f"torch as pip gives it brings {len(cuda)} CUDA packages ({CUDA_GIGABYTES} GB to download), of no use without "
        "an NVIDIA driver: taking the CPU build (0.2 GB). TORCH=default takes what pip gives."
    )
    _install_cpu_build(environment)


def cuda_packages(environment: Environment) -> list[str]:
    """The CUDA packages that pip would install with torch here; empty for a CPU build."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        plan = ("--dry-run", "--ignore-installed", "--quiet", "--report", str(report))
        environment.pip("install", *plan, pinned_torch(), what="torch (a dry run)")
        packages = [item["metadata"]["name"] for item in json.loads(report.read_text())["install"]]
    return [name for name in packages if name.startswith(CUDA_NAMES)]


def has_nvidia_driver() -> bool:
    """Whether an NVIDIA driver is installed on this machine."""
    return bool(shutil.which("nvidia-smi")) or Path("/proc/driver/nvidia/version").exists()


def _install_default_build(environment: Environment) -> None:
    environment.pip("install", pinned_torch(), what="torch")


def _install_cpu_build(environment: Environment) -> None:
    # uv knows where torch's CPU builds are. pip would need the address of that index, and with a second index, any
    # other package might come from there.
    environment.pip("install", "--require-hashes", "-r", str(REQUIREMENTS / "uv.txt"), what="uv")
    uv = environment.path / "bin" / "uv"
    where = ("--python", str(environment.python))
    failed = environment.run([str(uv), "pip", "install", *where, "--torch-backend=cpu", "--no-deps", pinned_torch()])
    if failed is not None:
        words = "\n".join(f"  {line}" for line in (failed[0], failed[-1]))
        raise SetupError(
            f"torch's CPU build could not be installed:\n{words}\nAll of the output: {environment.log}\nChoose:\n"
            "  TORCH=cpu      tries the CPU build again, as in: make demo TORCH=cpu\n"
            f"  TORCH=default  installs what pip gives, with CUDA packages: {CUDA_GIGABYTES} GB to download"
        )
