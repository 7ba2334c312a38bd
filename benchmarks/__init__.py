"""Batchord against the bare loop and against what people pick instead; see docs/benchmarks.md."""
