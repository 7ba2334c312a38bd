"""The workloads. Each module prepares its records, runs all systems in turn, and compares their outputs."""
