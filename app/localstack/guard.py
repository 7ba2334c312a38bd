"""Ends a supervisor's processes if the supervisor itself is killed."""

from batchord.processes.watching import GuardPipe

#: The variable with the supervisor's mark. All programs that its processes start inherit it.
MARK_VARIABLE = "BATCHORD_SUPERVISOR"


class Guard(GuardPipe):
    """Watches over the processes of one supervisor.

    ``inherit`` and ``project``: as for :class:`.GuardPipe`.
    """

    def __init__(self, *, inherit: tuple[int, ...] = (), project: str = "") -> None:
        super().__init__(MARK_VARIABLE, inherit=inherit, project=project)
