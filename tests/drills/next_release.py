"""Makes a worker that imports this one of the next release, whose messages those of this one would misread."""

import workers.tasks

workers.tasks.VERSION += 1
