"""Where text leaves: what is secret, and how it is masked."""
