"""What every attempt has, whatever it does: its heartbeat and its log."""
