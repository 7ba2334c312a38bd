"""When a process began: with its pid, this identifies a process on a machine for good."""

import os
from pathlib import Path


def born(pid: int) -> str | None:
    """When the process began, in a form that no change of the clock affects; None if there is no such process.

    A zombie has it, too: a process that has ended, but whose exit status nobody has fetched.
    """
    return life(pid)[0]


def life(pid: int) -> tuple[str | None, bool]:
    """When the process began, and whether it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return _life_elsewhere(pid)
    state, threads, ticks_since_boot = fields[0], int(fields[17]), fields[19]
    # A killed process holds its port until all its threads have ended, even if its first thread is a zombie.
    return f"{boot}:{ticks_since_boot}", state in "ZX" and threads <= 1


def _life_elsewhere(pid: int) -> tuple[str | None, bool]:
    # macOS has no /proc. On Linux, psutil's create_time() cannot be used: it changes when the clock is set.
    if Path("/proc/self/stat").exists():
        return None, False
    import psutil  # only here: commands that show names of workers need not load it

    try:
        process = psutil.Process(pid)
        return str(process.create_time()), process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None, False


def exists(pid: int) -> bool:
    """Whether some process has this pid. It sees processes of other users, too, even where /proc hides them."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
