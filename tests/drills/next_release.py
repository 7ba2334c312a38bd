"""A worker that imports this module acts as one of the next release, with a newer version of messages."""

from batchord.core.run import messages

messages.VERSION += 1
