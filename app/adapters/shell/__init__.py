"""Commands in bash: the ``Shell`` port over process groups of their own."""

from app.adapters.shell.shell import Shell

__all__ = ["Shell"]
