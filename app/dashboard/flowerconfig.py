"""Flower's configuration: Flower executes this file when it starts, and takes the names below as its options.

A configuration of your own begins with ``from app.dashboard.flowerconfig import *``, or Flower is open again.
"""

import sys

from tornado.options import options

from app.core.errors import BatchordError
from app.dashboard.closing import close_flower
from app.masking import mask
from app.redis_server import check_redis
from app.settings import settings

try:
    check_redis(settings().require_redis_url())
    address, basic_auth = close_flower(options)
except BatchordError as error:
    # Flower that cannot be closed does not start. One line: it goes to whoever typed the command.
    sys.exit(f"Flower does not start: {mask(str(error))}")
