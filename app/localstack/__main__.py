"""The supervisor as a program: see :mod:`batchord.app.localstack.background`."""

import sys

from .background import main

sys.exit(main())
