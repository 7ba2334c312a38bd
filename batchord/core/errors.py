"""Every error that Batchord raises, grouped by who has to act.

BatchordError
├── ConfigurationError       the author or the operator must change something
│   ├── CatalogError         a pipeline file cannot be used
│   ├── MissingExtra         a library that only some models or features need is not installed
│   └── UnknownPipeline      no pipeline of that name is in the catalog
│       └── UnknownStep      the pipeline has no such step, or one of another kind
├── CodeChanged              the code changed since the work was planned; a follow-up run takes the work
├── TransientError           the outside world failed for a moment; retried with backoff
├── DataError                one record cannot be predicted; becomes a rejection, never retried
├── LeaseLost                another worker owns the shard now; stop and write nothing
├── ConservationError        counts do not add up; the run fails loudly
├── StepError                a step's own work failed; retried as the step's Retry says
│   ├── CommandFailed        a Bash step's command ended with an exit code other than 0
│   ├── SqlFailed            a Sql step's statement was refused
│   ├── OutOfTime            a step took longer than its time limit
│   └── FinalStepError       another attempt would end no better, or must not be made
│       ├── OutputRefused    what a step returned cannot be passed to other steps
│       ├── WrongChoice      a branch returned a name that no step right after it has
│       └── MayHaveRun       its worker died during a step that must not run twice
├── TableRefuses             a table that the author has named refuses more than a few predictions
├── WorkFailed               a task's shard, step or run has failed, as the ledger says; the task ends as failed, too
└── ModelError
    ├── ModelNotFound        the model's files are not where the pipeline says
    └── ModelContractViolation   the model returned something other than one row per record

A message says what is wrong, with which id, and what to do next.
"""

from typing import Any

from batchord.core.reasons import Reason


class BatchordError(Exception):
    """The root of all errors that Batchord raises on purpose."""


class ConfigurationError(BatchordError):
    """Something that a person wrote or configured cannot work. Another attempt will not help."""


class CatalogError(ConfigurationError):
    """One or more pipeline files cannot be used. The message lists all problems."""


class MissingExtra(ConfigurationError):
    """A library that only some models or features need is not installed. The message has the command."""


class UnknownPipeline(ConfigurationError):
    """No pipeline of that name is in the catalog of this process."""


class UnknownStep(UnknownPipeline):
    """The pipeline of this process has no step of that name, or one of another kind."""


class CodeChanged(BatchordError):
    """The code of this process is not the code that the work was planned with. No run may mix two versions."""


class TransientError(BatchordError):
    """A server or the network failed for a moment. The same call may work later."""

    def __init__(self, message: str = "", *, wait: float | None = None, counted: bool = False) -> None:
        super().__init__(message)
        #: Whether the ledger counts the attempts that end with this error, and so limits them.
        self.counted = counted
        #: Seconds after which to try again; None: the usual wait.
        self.wait = wait


class DataError(BatchordError):
    """One record cannot be predicted. The ledger counts rejections by ``reason``; the message is the detail."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class TableRefuses(BatchordError):
    """A table that the author has named refuses more than a few predictions of a batch. Nothing was written."""


class LeaseLost(BatchordError):
    """The shard's lease token changed: another worker owns the shard. Nothing was written."""


class ConservationError(BatchordError):
    """discovered = predicted + rejected + pending does not hold."""


class StepError(BatchordError):
    """A step's own work failed: its command, its SQL or its function."""

    def __init__(self, message: str = "", *, value: Any = None) -> None:
        super().__init__(message)
        #: What later steps may read of the step although it failed; None: nothing.
        self.value = value


class CommandFailed(StepError):
    """A command ended with an exit code other than 0."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message, value={"exit_code": exit_code})
        #: As the shell gives it; negative: the signal that ended it.
        self.exit_code = exit_code


class SqlFailed(StepError):
    """The database refused a statement; its transaction was rolled back."""


class OutOfTime(StepError):
    """A step took longer than its time limit, so Batchord ended it."""


class FinalStepError(StepError):
    """Another attempt would end no better, or must not be made."""


class OutputRefused(FinalStepError):
    """The value that a step returned is too large, or is not JSON."""


class WrongChoice(FinalStepError):
    """A branch returned something other than names of steps right after it."""


class MayHaveRun(FinalStepError):
    """A step's worker died during the step. Nobody knows what the step did, and it must not run twice."""


class WorkFailed(BatchordError):
    """A task's shard, step or run has failed. The ledger says so and all messages are sent; only the task must end."""


class ModelError(BatchordError):
    """The model cannot do its work."""


class ModelNotFound(ModelError):
    """The files of a model are missing, incomplete, or not of the version that the run pinned."""


class ModelContractViolation(ModelError):
    """The model's output is not one row per input record, in the same order."""
