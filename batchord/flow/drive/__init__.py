"""What moves a run on, and ends it."""
