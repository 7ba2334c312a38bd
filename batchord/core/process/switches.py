"""The Redis key that workers write and beat reads."""

#: Holds what people switched at run time, as JSON: ``paused`` and ``schedule`` by pipeline.
SWITCHED_KEY = "batchord:switched"
