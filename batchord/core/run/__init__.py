"""Runs, steps, shards, records and predictions, and the rules by which they move."""
