"""Celery's command on Batchord's app, for processes that Batchord starts: ``python -P -m app.celery_command worker``.

``celery -A app`` looks for ``app`` in the working directory first, wherever that is, and while it does so every other
import looks there, too. Here the app is there already when Celery asks for it.
"""

import importlib
import sys

from celery.__main__ import main

_APP = "app.celery"

if __name__ == "__main__":
    sys.argv = ["celery", f"--app={_APP}", *sys.argv[1:]]
    importlib.import_module(_APP)
    main()
