"""Which pipelines follow another one: their runs start when a run of the other pipeline ends in a given state."""

from batchord.core.run.messages import FollowUp, RunEnded
from batchord.flow.parts import Catalog


def follows(catalog: Catalog) -> list[tuple[str, str, str]]:
    """For each rule: the followed pipeline, the state in which its run must end, and the pipeline that follows."""
    rules = []
    for name in catalog.names():
        after = catalog.get(name).after
        if after is not None:
            rules += [(after.pipeline, str(state), name) for state in after.states]
    return rules


def followers(catalog: Catalog, ended: RunEnded) -> list[FollowUp]:
    """The runs that must follow this end."""
    return [
        FollowUp(pipeline=follower, after_run=ended.run_id)
        for followed, state, follower in follows(catalog)
        if followed == ended.pipeline and state == ended.state
    ]
