"""Moves a run on from step to step, and ends it."""
