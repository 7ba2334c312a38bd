"""The database's roles: Batchord creates them, grants their rights, and checks them."""
