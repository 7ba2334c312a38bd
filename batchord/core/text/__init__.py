"""Texts of others: SQL, errors, and what a terminal may be shown."""
