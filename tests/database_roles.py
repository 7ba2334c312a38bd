"""Databases with one role for everything, as someone has who makes no roles."""

from batchord.core.addresses.database_roles import DatabaseRoles


def all_one(url: str) -> DatabaseRoles:
    """That role for each kind of work."""
    return DatabaseRoles(owner=url, ledger=url, author=url, source=url)
