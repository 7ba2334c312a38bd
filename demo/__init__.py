"""The demo's real data and real models: what ``make demo`` shows Batchord with."""
