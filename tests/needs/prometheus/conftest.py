"""Fixtures of the acceptance tests, whose cluster and Flower a real Prometheus reads here."""

from tests.acceptance.conftest import cluster, notes  # noqa: F401 -- pytest looks for fixtures here
