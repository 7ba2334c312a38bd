"""Commands as steps."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar

from batchord.core.declared.step_context import CheckContext, StepContext
from batchord.core.declared.steps import TaskStep
from batchord.core.text.names import as_names

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


@dataclass(frozen=True)
class Bash(TaskStep):
    """A step that runs a command with ``bash -c``, in a process group of its own.

    The step fails if the exit code is not 0. Later steps read its last line of output as
    ``run["<name>"].value["last_line"]``. The command reads about the run in ``BATCHORD_RUN_ID``, ``BATCHORD_PIPELINE``,
    ``BATCHORD_STEP``, ``BATCHORD_ATTEMPT``, ``BATCHORD_SLOT``, ``BATCHORD_WINDOW_START`` and ``BATCHORD_WINDOW_END``
    (ISO 8601, or empty), ``BATCHORD_PARAMS`` (JSON), and the JSON file that ``BATCHORD_OUTPUTS`` names.

    Args:
        name: The name of the step, in lower case.
        command: The command.
        after: The names of the steps right before it.
        join: When it runs. ``all_done_ok``: none of the steps before it failed, and one ran. ``always``: all of
            them are over.
        retry: The retry after errors of its own. None: that of the pipeline.
        time_limit: The longest time of an attempt. None: no limit.
        idempotent: Whether it may run again after its worker died during the command. Otherwise the step has failed
            then.
        queue: The queue whose workers execute it.
        env: Added to the worker's environment, from which Batchord's own secrets are removed.
        secrets: Variables with Batchord's own secrets that the command still gets, such as ``BATCHORD_AUTHOR_URL``.
        cwd: The folder in which the command starts; None: the worker's folder.
    """

    ends_in_time: ClassVar[bool] = True

    command: str
    _: KW_ONLY
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    cwd: str | None = None
    idempotent: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "secrets", as_names(self.secrets))

    def problems(self) -> list[str]:
        """See the base class."""
        problems = super().problems()
        problems += _command_problems(self.command, self.env, self.cwd)
        return problems + _secrets_problems(self.secrets)

    def check(self, context: CheckContext) -> Iterable[str]:
        """See the base class. bash reads the command and executes nothing."""
        from batchord.steps.bash.syntax import syntax_problems

        return syntax_problems(self.command, context.time_limit)

    def execute(self, context: StepContext) -> dict[str, Any]:
        """See the base class.

        Raises CommandFailed for an exit code other than 0, OutOfTime, LeaseLost if it was stopped, ConfigurationError
        if it cannot be started, and TransientError if the machine has no room for it now.
        """
        from batchord.steps.bash.environment import environment, outputs_file
        from batchord.steps.bash.shell import run_command

        secrets = context.secrets(self.secrets)
        with outputs_file(context.home, context.run) as path:
            last_line = run_command(
                self.command,
                env={**secrets, **environment(context.run), "BATCHORD_OUTPUTS": path, **self.env},
                cwd=self.cwd,
                time_limit=context.time_limit,
                stop=context.stop,
                on_line=context.line,
            )
        return {"exit_code": 0, "last_line": last_line}


def _command_problems(command: object, env: object, cwd: object) -> list[str]:
    problems = []
    if command is not None and not isinstance(command, str):
        problems.append(f"command= is a {type(command).__name__}: give one text, such as 'ls -l'")
    elif not command or not command.strip():
        problems.append("command= is empty: give the command that bash runs")
    elif "\0" in command:
        problems.append("command= holds a NUL character, which no shell can read")
    if not isinstance(env, Mapping) or not all(isinstance(text, str) for text in [*env, *env.values()]):
        problems.append("env= must be a dict of texts")
    else:
        problems += [
            f"env= holds {name!r}: a name must not be empty or hold '=', and neither name nor value may hold a NUL "
            "character"
            for name, value in env.items()
            if not name or "=" in name or "\0" in name + value
        ]
    if cwd is not None and (not isinstance(cwd, str | os.PathLike) or "\0" in os.fspath(cwd)):
        problems.append(f"cwd={cwd!r}: give the path of a folder, or None")
    return problems


def _secrets_problems(secrets: Iterable[object]) -> list[str]:
    return [
        f"secrets= holds {name!r}: give names of variables, such as 'BATCHORD_AUTHOR_URL'"
        for name in secrets
        if not (isinstance(name, str) and _VARIABLE.fullmatch(name))
    ]
