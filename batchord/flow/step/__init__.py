"""A step that is no prediction."""
