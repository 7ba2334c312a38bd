"""The heartbeat and the log of every attempt."""
