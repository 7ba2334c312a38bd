"""One pipeline follows another: its run starts when a run of the other has ended so."""

from batchord.core.run.messages import FollowUp, RunEnded
from batchord.flow.parts import Catalog


def follows(catalog: Catalog) -> list[tuple[str, str, str]]:
    """All of it: the pipeline that is followed, the state in which its run must end, the pipeline that follows."""
    found = []
    for name in catalog.names():
        after = catalog.get(name).after
        if after is not None:
            found += [(after.pipeline, str(state), name) for state in after.states]
    return found


def followers(catalog: Catalog, ended: RunEnded) -> list[FollowUp]:
    """Who follows this end."""
    return [
        FollowUp(pipeline=follower, after_run=ended.run_id)
        for followed, state, follower in follows(catalog)
        if followed == ended.pipeline and state == ended.state
    ]
