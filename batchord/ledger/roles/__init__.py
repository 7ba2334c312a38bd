"""The database's roles: made, given their rights, and looked at."""
