"""Drills use the clusters of the acceptance tests."""

from tests.acceptance.conftest import cluster, notes

__all__ = ["cluster", "notes"]
