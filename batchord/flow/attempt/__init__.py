"""One attempt at a piece of work: its lease, its log, and what its errors mean."""
