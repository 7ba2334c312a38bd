"""What becomes of records whose objects alone the store does not deliver, while it delivers others."""

import logging
from collections.abc import Callable, Sequence

from batchord.core.errors import TransientError
from batchord.core.run.leases import ShardLease
from batchord.core.run.predictions import Batch, Predictions
from batchord.core.run.records import Rejection
from batchord.core.text.counts import counted

log = logging.getLogger(__name__)

#: Undelivered records of a shard up to which they may be to blame themselves: so many, or so great a part of it.
#: Beyond that it is the store, as it is the model where it fails for more than a few.
_A_FEW, _SHARE = 5, 10


def check_undelivered(lease: ShardLease, undelivered: Sequence[Rejection]) -> None:
    """Raises TransientError when these are too many for the store to be well."""
    most = max(_A_FEW, lease.work.planned // _SHARE)
    if len(undelivered) > most:
        raise TransientError(
            f"The store did not deliver {counted(len(undelivered), 'object')} of shard {lease.shard}, more than "
            f"{most}. The cause is the store, not the records. The first: {undelivered[0].detail}"
        )


def settle_undelivered(
    lease: ShardLease, undelivered: Sequence[Rejection], *, last: bool, write: Callable[[Batch], None]
) -> None:
    """Rejects the records at the ``last`` attempt; until then the shard is handed back, by raising TransientError."""
    if not last:
        raise TransientError(
            f"The store did not deliver {counted(len(undelivered), 'object')}, but delivered others. Batchord requests "
            f"them again. The first: {undelivered[0].detail}"
        )
    for each in undelivered:
        log.warning("Record %s was rejected after %s attempts: %s", each.key, lease.attempt, each.detail)
    nothing = Predictions(keys=[], labels=[], scores=[], outputs=[], digests=[])
    write(Batch(predictions=nothing, rejections=list(undelivered)))
