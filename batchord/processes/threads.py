"""How many threads the numeric libraries of a process may use."""

import os


def limit_threads(count: int) -> None:
    """Limits them to ``count``, unless the environment says otherwise. Call it before any of them is imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, str(count))
