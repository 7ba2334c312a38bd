"""Makes a worker that imports this one of the next release, whose messages those of this one would misread."""

from batchord.core.run import messages

messages.VERSION += 1
