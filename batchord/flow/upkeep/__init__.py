"""The work beside the runs: sending lost messages again, watching, auditing, pruning, alerting, switching."""
