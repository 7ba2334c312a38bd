"""Code for databases that sources, Sql steps and the ledger share. Importing it costs nothing."""
