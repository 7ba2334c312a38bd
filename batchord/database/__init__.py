"""What sources, SQL steps and the ledger share of their databases. Importing it costs nothing."""
