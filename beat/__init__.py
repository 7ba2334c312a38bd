"""What beat does: pipelines become RedBeat entries."""
