"""Handles records whose objects the store does not deliver, although it delivers others."""

import logging
from collections.abc import Callable, Sequence

from batchord.core.errors import TransientError
from batchord.core.run.leases import ShardLease
from batchord.core.run.predictions import Batch, Predictions
from batchord.core.run.records import Rejection
from batchord.core.text.counts import counted

log = logging.getLogger(__name__)

#: The most undelivered records of a shard: this many, or one in this many, whichever is more. If there are more, the
#: cause is the store, just as the model is the cause if it fails for more than a few records.
_A_FEW, _SHARE = 5, 10


def check_undelivered(lease: ShardLease, undelivered: Sequence[Rejection]) -> None:
    """Raises TransientError if there are so many that the store must be the cause."""
    most = max(_A_FEW, lease.work.planned // _SHARE)
    if len(undelivered) > most:
        raise TransientError(
            f"The store did not deliver {counted(len(undelivered), 'object')} of shard {lease.shard}, more than "
            f"{most}. The cause is the store, not the records. The first: {undelivered[0].detail}"
        )


def settle_undelivered(
    lease: ShardLease, undelivered: Sequence[Rejection], *, last: bool, write: Callable[[Batch], None]
) -> None:
    """Rejects the records at the ``last`` attempt. Before, it raises TransientError, which hands the shard back."""
    if not last:
        raise TransientError(
            f"The store did not deliver {counted(len(undelivered), 'object')}, but delivered others. Batchord requests "
            f"them again. The first: {undelivered[0].detail}"
        )
    for rejection in undelivered:
        log.warning("Record %s was rejected after %s attempts: %s", rejection.key, lease.attempt, rejection.detail)
    nothing = Predictions(keys=[], labels=[], scores=[], outputs=[], digests=[])
    write(Batch(predictions=nothing, rejections=list(undelivered)))
