"""Discovery alone, in a process of its own. Prints its seconds, without imports and connecting."""

import json
import resource
import sys
import time

from batchord.flow.begin.preview import preview
from batchord.wiring import parts


def main(*, pipeline: str) -> None:
    """Runs discovery and writes nothing."""
    ready = parts()
    ready.catalog.get(pipeline)
    ready.ledger.runs.now()
    started = time.perf_counter()
    (step,) = preview(ready, pipeline=pipeline)
    seconds = time.perf_counter() - started
    print(f"{step.records} records, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB", file=sys.stderr)
    print(seconds)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
