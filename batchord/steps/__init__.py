"""The kinds of steps that are no prediction."""
