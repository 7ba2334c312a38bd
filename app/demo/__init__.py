"""The demo's real data and real models: what ``batchord demo`` shows Batchord with."""
