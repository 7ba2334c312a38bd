"""What workers and beat share without knowing each other."""

#: Where workers show beat in Redis what was switched at run time: JSON, ``paused`` and ``schedule`` by pipeline.
SWITCHED_KEY = "batchord:switched"
