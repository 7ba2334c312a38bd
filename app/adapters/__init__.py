"""The outside world: one file per role."""
