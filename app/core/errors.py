"""Every error that Batchord raises, grouped by who has to act.

BatchordError
├── ConfigurationError       the author or the operator must change something
│   ├── CatalogError         a pipeline file cannot be used
│   └── UnknownPipeline      no pipeline of that name is in the catalog
├── TransientError           the outside world failed for a moment; retried with backoff
├── DataError                one record cannot be predicted; becomes a rejection, never retried
├── LeaseLost                another worker owns the shard now; stop and write nothing
├── ConservationError        counts do not add up; the run fails loudly
└── ModelError
    ├── ModelNotFound        the model's files are not where the pipeline says
    └── ModelContractViolation   the model returned something other than one row per record

A message says what is wrong, with which id, and what to do next.
"""


class BatchordError(Exception):
    """Root of all errors raised on purpose."""


class ConfigurationError(BatchordError):
    """Something that a person wrote or configured cannot work; repeating it will not help."""


class CatalogError(ConfigurationError):
    """One or more pipeline files cannot be used; the message lists every problem found."""


class UnknownPipeline(ConfigurationError):
    """No pipeline of that name is in the catalog of this process."""


class TransientError(BatchordError):
    """A server or the network failed for a moment; the same call may work later."""


class DataError(BatchordError):
    """One record cannot be predicted. ``reason`` is a short stable code, the message the detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        #: Short, stable, lower-case code such as ``missing-object``; counted in summaries.
        self.reason = reason


class LeaseLost(BatchordError):
    """The shard's lease token changed: another worker owns the shard, nothing was written."""


class ConservationError(BatchordError):
    """discovered = predicted + rejected + pending does not hold."""


class ModelError(BatchordError):
    """The model cannot do its work."""


class ModelNotFound(ModelError):
    """The files of a model are missing, incomplete, or not of the version that the run pinned."""


class ModelContractViolation(ModelError):
    """The model's output is not one row per input record, in the same order."""
