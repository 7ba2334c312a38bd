"""What a step of each kind does: a function is called, SQL is executed, a command is run, a way is chosen."""

import fcntl
import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from batchord.core.calendar.schedules import open_start
from batchord.core.declared.context import RunContext, StepOutput, checked_output
from batchord.core.declared.functions import takes_run
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Bash, Branch, Python, Sql, time_limit_seconds
from batchord.core.errors import ConfigurationError, LeaseLost, StepError, WrongChoice
from batchord.core.process.faults import fault
from batchord.core.process.leaving import ends_the_process
from batchord.core.run.graph import CHOSEN, downstream, upstream
from batchord.core.run.runs import Step, StepLease
from batchord.core.text.error_text import error_text
from batchord.flow.attempt.heartbeat import Heartbeat
from batchord.flow.attempt.log import AttemptLog
from batchord.flow.parts import Parts
from batchord.output.own_secrets import own_secrets

log = logging.getLogger(__name__)


def operate(parts: Parts, lease: StepLease, declared: Pipeline, *, said: AttemptLog, beat: Heartbeat) -> dict[str, Any]:
    """Executes the lease's step, which is no Predict step, and returns its output, as the ledger keeps it.

    Raises LeaseLost, StepError, TransientError, ConfigurationError, and whatever the author's function raises.
    """
    task = declared.task(lease.step)
    context = run_context(lease, parts.ledger.runs.steps(lease.run.id))
    fault(f"before-step-begin:{task.name}")
    if not task.idempotent and not parts.ledger.runs.begin_step(lease):
        raise LeaseLost("its lease ran out before the step began")
    fault(f"before-step-work:{task.name}")
    match task:
        case Python():
            output = checked_output(task.name, _called(task.function, context))
        case Branch():
            output = _chosen(declared, task, _called(task.function, context))
        case Sql():
            values = {**context.params, **_names(context)}
            limit = time_limit_seconds(task)
            output = checked_output(task.name, parts.sql.run(task, values=values, time_limit=limit, lease=lease))
        case Bash():
            output = _run(parts, task, context, said, beat)
    fault(f"after-step-work:{task.name}")
    return output


def run_context(lease: StepLease, steps: list[Step]) -> RunContext:
    """The run as the step's function sees it, with the outputs of the steps before it, however far."""
    run = lease.run
    before = upstream({step.name: step.after for step in steps}, lease.step)
    return RunContext(
        id=run.id,
        pipeline=run.pipeline,
        step=lease.step,
        attempt=lease.attempt,
        kind=run.kind,
        slot=run.slot,
        window_start=run.window_start,
        window_end=run.window_end,
        params=run.params,
        # No others: what else is over by now differs from run to run.
        outputs={
            step.name: StepOutput(
                name=step.name, kind=step.kind, state=step.state, output=step.output or {}, error=step.error
            )
            for step in steps
            if step.name in before
        },
    )


def _called(function: Callable[..., Any], context: RunContext) -> Any:
    try:
        return function(context) if takes_run(function) else function()
    except Exception:
        raise
    except BaseException as error:
        if ends_the_process(error):  # what became of the step is the parent process's to say
            raise
        if not isinstance(error, SystemExit):
            raise StepError(f"the function raised {error_text(error)}") from error
        if error.code in (None, 0):  # as a script's last line has it
            return None
        raise StepError(f"the function called sys.exit({error.code!r})") from error


def _chosen(declared: Pipeline, task: Branch, returned: Any) -> dict[str, Any]:
    after = {step.name: step.after for step in declared.steps}
    choices = sorted(name for name, before in after.items() if task.name in before)
    chosen = [returned] if isinstance(returned, str) else returned
    if not isinstance(chosen, list | tuple | set) or not all(each in choices for each in chosen):
        raise WrongChoice(
            f"the branch returned {returned!r}, but may only return one of {', '.join(choices)}, or a list of some of "
            f"them: the steps that have after={[task.name]}"
        )
    chosen = sorted(chosen)
    passed_over = sorted(set(choices) - set(chosen) - downstream(after, chosen))
    log.info("Chosen: %s. Not chosen: %s.", ", ".join(chosen) or "none", ", ".join(passed_over) or "none")
    return {CHOSEN: chosen, "value": chosen}


def _run(parts: Parts, task: Bash, context: RunContext, said: AttemptLog, beat: Heartbeat) -> dict[str, Any]:
    with _outputs_file(parts.settings.home, context) as path:
        last_line = parts.shell.run(
            task.command,
            env={**_asked(parts, task), **_environment(context), "BATCHORD_OUTPUTS": path, **task.env},
            cwd=task.cwd,
            time_limit=time_limit_seconds(task),
            stop=beat.lost,
            on_line=said.line,
        )
    return checked_output(task.name, {"exit_code": 0, "last_line": last_line})


def _asked(parts: Parts, task: Bash) -> dict[str, str]:
    """The secrets that the step names."""
    if not task.secrets:
        return {}
    known = own_secrets(parts.settings, parts.environment)
    if missing := [name for name in task.secrets if name not in known]:
        raise ConfigurationError(
            f"The step's secrets= names {', '.join(missing)}; this worker has {', '.join(sorted(known)) or 'none'}. "
            "Correct the name, or configure the secret. A command inherits all variables that are not secrets of "
            "Batchord."
        )
    return {name: known[name] for name in task.secrets}


@contextmanager
def _outputs_file(home: Path, context: RunContext) -> Iterator[str]:
    """A JSON file with the outputs of the steps before: an environment variable holds 128 KiB at the most.

    In the home, which nobody else can read. What a killed process left there goes when the next file is made: its lock
    has gone with it. A process number would not do, since the home may be shared by containers that number their own.
    """
    folder = home.expanduser().absolute() / "outputs"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as resources:
        # One at a time, or a file that was just made would be taken for one that was left.
        with (folder / ".lock").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            for left in folder.glob("*.json"):
                _remove_unlocked(left)
            file = resources.enter_context(
                tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json", dir=folder)
            )
            fcntl.flock(file, fcntl.LOCK_EX)
        json.dump({name: dict(output.output) for name, output in context.items()}, file)
        file.flush()
        yield file.name


def _remove_unlocked(file: Path) -> None:
    with suppress(BlockingIOError, FileNotFoundError), file.open() as left:
        fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.unlink()


def _environment(context: RunContext) -> dict[str, str]:
    return {
        "BATCHORD_RUN_ID": context.id,
        "BATCHORD_PIPELINE": context.pipeline,
        "BATCHORD_STEP": context.step,
        "BATCHORD_ATTEMPT": str(context.attempt),
        "BATCHORD_SLOT": _iso(context.slot),
        # The beginning of time is no date that a command could work with.
        "BATCHORD_WINDOW_START": _iso(open_start(context.window_start)),
        "BATCHORD_WINDOW_END": _iso(context.window_end),
        "BATCHORD_PARAMS": json.dumps(dict(context.params)),
    }


def _iso(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat()


def _names(context: RunContext) -> dict[str, Any]:
    """What the parameters of a Sql step may name besides the run's own."""
    return {
        "run_id": context.id,
        "pipeline": context.pipeline,
        "slot": context.slot,
        "window_start": context.window_start,
        "window_end": context.window_end,
    }
