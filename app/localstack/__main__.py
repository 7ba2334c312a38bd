"""The supervisor as a program: see :mod:`batchord.app.localstack.background`."""

import sys

from .background import main

if __name__ == "__main__":
    sys.exit(main())
