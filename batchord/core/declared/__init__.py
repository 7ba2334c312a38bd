"""Declarations: what an author writes in a pipeline file."""
