"""Commands in bash: the ``Shell`` port over process groups of their own."""

from batchord.steps.shell.shell import Shell

__all__ = ["Shell"]
