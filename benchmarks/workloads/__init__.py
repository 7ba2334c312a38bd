"""What is measured: each module prepares its records, runs all systems in turn, and compares what they wrote."""
