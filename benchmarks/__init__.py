"""Compares Batchord with the bare loop and with other systems; see docs/benchmarks.md."""
