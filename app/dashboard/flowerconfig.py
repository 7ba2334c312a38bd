"""Flower's configuration: Flower executes this file when it starts, and takes the names below as its options.

A configuration of your own begins with ``from batchord.app.dashboard.flowerconfig import *``, or Flower is open again.
"""

import sys
from importlib import import_module

from tornado.options import options

from batchord.core.errors import BatchordError
from batchord.output.masking import mask
from batchord.queue.redis_server import check_redis
from batchord.settings import settings

# A file that is executed has no package: this one is of the application that starts Flower.
_closing = import_module(
    "batchord.app.dashboard.closing" if "batchord.app.celery" in sys.modules else "app.dashboard.closing"
)

try:
    check_redis(settings().require_redis_url())
    address, basic_auth = _closing.close_flower(options)
except BatchordError as error:
    # Flower that cannot be closed does not start. One line: it goes to whoever typed the command.
    sys.exit(f"Flower does not start: {mask(str(error))}")
