"""Commands in bash, in process groups of their own."""

from batchord.steps.bash.step import Bash

__all__ = ["Bash"]
