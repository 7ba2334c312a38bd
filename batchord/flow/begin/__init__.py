"""How a run begins: by a tick, by the end of another pipeline's run, by hand, as a backfill, or as a rerun."""
