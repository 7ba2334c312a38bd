"""Checks that a shard is predicted with the code with which it was planned."""

from batchord.core.errors import CodeChanged, UnknownPipeline, UnknownStep
from batchord.core.run.leases import ShardLease
from batchord.flow.parts import Parts


def check_code(parts: Parts, lease: ShardLease) -> None:
    """Raises if the shard was planned with other code than this process has, so that no step mixes two versions.

    Raises CodeChanged if the file was edited after the plan. Otherwise the planner's machine has other code, for
    example during a deploy. Then it raises UnknownPipeline, and the shard is handed back for a worker with that code.
    """
    newer = parts.took_up_code_after(lease.work.planned_at)
    try:
        declared = parts.catalog.get(lease.pipeline).predict_step(lease.step)
    except UnknownStep as error:
        if not newer:
            raise
        raise CodeChanged(f"code-changed: {error}") from error
    if lease.work.code is None or declared.code == lease.work.code:
        return
    if newer or parts.code_since is None:
        raise CodeChanged("code-changed: its file was edited after the step was planned")
    raise UnknownPipeline(
        f"Step {lease.step} of {lease.pipeline} was planned with code that differs from this worker's, and the file "
        "was not edited since. Bring the same files to all machines. If a function reads a value that differs in "
        "each process, such as a time or a random number, use FunctionModel(…, version='1')."
    )
