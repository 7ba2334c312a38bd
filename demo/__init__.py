"""``make demo``: shows Batchord with real data and real models."""
