"""Flower's configuration. Flower executes this file when it starts and takes the names below as its options.

Begin a configuration of your own with ``from batchord.app.dashboard.flowerconfig import *``. Without this line, Flower
is open to everybody.
"""

import sys
from importlib import import_module

from tornado.options import options

from batchord.core.errors import BatchordError
from batchord.output.masking import mask
from batchord.queue.redis_server import check_redis
from batchord.settings import settings

# An executed file has no package. So take the module of the application that starts Flower.
_closing = import_module(
    "batchord.app.dashboard.closing" if "batchord.app.celery" in sys.modules else "app.dashboard.closing"
)

try:
    check_redis(settings().require_redis_url())
    address, basic_auth = _closing.close_flower(options)
except BatchordError as error:
    # If Flower cannot be closed, it does not start. The person who typed the command sees one line.
    sys.exit(f"Flower does not start: {mask(str(error))}")
