"""Settings of a PostgreSQL transaction with which a value has the same text everywhere."""

#: The ledger keeps keys as texts; files of predictions hold times and numbers.
SAME_TEXTS = (
    "SET LOCAL TIME ZONE 'UTC'",
    "SET LOCAL DateStyle TO 'ISO'",
    "SET LOCAL IntervalStyle TO 'postgres'",
    "SET LOCAL bytea_output TO 'hex'",
    "SET LOCAL extra_float_digits TO 1",
)
