"""How hypothesis searches: without deadlines on a shared machine, and the same way each time in CI."""

import os

from hypothesis import settings

# No example database: a failure prints a blob that reproduces it, and nothing is left beside the code.
settings.register_profile(
    "batchord", deadline=None, database=None, print_blob=True, derandomize="CI" in os.environ, max_examples=100
)
settings.load_profile("batchord")
