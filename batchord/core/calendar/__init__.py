"""Schedules: when a pipeline is due, in any time zone."""
