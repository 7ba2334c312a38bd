"""Executes a step of any kind: its declaration does the work, with a context that this process offers."""

import logging
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

from batchord.core.declared.context import RunContext, StepOutput, checked_output
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.step_context import Choice, StepContext
from batchord.core.declared.steps import TaskStep
from batchord.core.errors import ConfigurationError, LeaseLost, StepError, WrongChoice
from batchord.core.process.fault_points import fault
from batchord.core.process.leaving import ends_the_process
from batchord.core.run.graph import downstream, upstream
from batchord.core.run.leases import StepLease
from batchord.core.run.runs import CHOSEN, Step
from batchord.core.text.error_text import error_text
from batchord.flow.attempt.attempt import Line
from batchord.flow.parts import Parts
from batchord.output.own_secrets import own_secrets

log = logging.getLogger(__name__)


def operate(parts: Parts, lease: StepLease, declared: Pipeline, *, line: Line, stop: threading.Event) -> dict[str, Any]:
    """Executes the step of the lease and returns its output in the ledger's form. It is not a Predict step.

    Raises LeaseLost, StepError, TransientError, ConfigurationError, and what the author's function raises.
    """
    task = declared.task(lease.step)
    run = run_context(lease, parts.ledger.runs.steps(lease.run_id))
    fault(f"before-step-begin:{task.name}")
    if not task.idempotent and not parts.ledger.runs.begin_step(lease):
        raise LeaseLost("its lease ran out before the step began")
    fault(f"before-step-work:{task.name}")
    returned = _executed(task, _context(parts, lease, task, run, line=line, stop=stop))
    if isinstance(returned, Choice):
        output = _chosen(declared, task, returned.steps)
    else:
        output = checked_output(task.name, returned)
    fault(f"after-step-work:{task.name}")
    return output


def _context(
    parts: Parts, lease: StepLease, task: TaskStep, run: RunContext, *, line: Line, stop: threading.Event
) -> StepContext:
    return StepContext(
        run=run,
        time_limit=None if task.time_limit is None else task.time_limit.total_seconds(),
        stop=stop,
        line=line,
        secrets=partial(_secrets, parts),
        home=parts.settings.home,
        database_url=parts.author_url,
        lock_seconds=parts.settings.lease_seconds,
        token=lease.token,
    )


def run_context(lease: StepLease, steps: list[Step]) -> RunContext:
    """The run as the step's function sees it, with the outputs of all steps before it, at any distance."""
    run = lease.work.run
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
        # Only these: which other steps are over differs from run to run.
        outputs={
            step.name: StepOutput(
                name=step.name, kind=step.kind, state=step.state, output=step.output or {}, error=step.error
            )
            for step in steps
            if step.name in before
        },
    )


def _executed(task: TaskStep, context: StepContext) -> Any:
    try:
        return task.execute(context)
    except Exception:
        raise
    except BaseException as error:
        if ends_the_process(error):  # the parent process records the outcome
            raise
        if not isinstance(error, SystemExit):
            raise StepError(f"the function raised {error_text(error)}") from error
        if error.code in (None, 0):  # as at the end of a script
            return None
        raise StepError(f"the function called sys.exit({error.code!r})") from error


def _chosen(declared: Pipeline, task: TaskStep, returned: Any) -> dict[str, Any]:
    after = {step.name: step.after for step in declared.steps}
    choices = sorted(name for name, before in after.items() if task.name in before)
    chosen = [returned] if isinstance(returned, str) else returned
    if not isinstance(chosen, list | tuple | set) or not all(name in choices for name in chosen):
        raise WrongChoice(
            f"the branch returned {returned!r}, but may only return one of {', '.join(choices)}, or a list of some of "
            f"them: the steps that have after={[task.name]}"
        )
    chosen = sorted(chosen)
    passed_over = sorted(set(choices) - set(chosen) - downstream(after, chosen))
    log.info("Chosen: %s. Not chosen: %s.", ", ".join(chosen) or "none", ", ".join(passed_over) or "none")
    return {CHOSEN: chosen, "value": chosen}


def _secrets(parts: Parts, names: Sequence[str]) -> dict[str, str]:
    if not names:
        return {}
    secrets = own_secrets(parts.settings, parts.environment)
    if missing := [name for name in names if name not in secrets]:
        raise ConfigurationError(
            f"The step's secrets= names {', '.join(missing)}; this worker has {', '.join(sorted(secrets)) or 'none'}. "
            "Correct the name, or configure the secret. A command inherits all variables that are not secrets of "
            "Batchord."
        )
    return {name: secrets[name] for name in names}
