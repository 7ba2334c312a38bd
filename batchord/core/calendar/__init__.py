"""Schedules: when a pipeline is due, on every wall clock."""
