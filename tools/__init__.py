"""What the Makefile runs: sets up ``.venv`` on a bare machine. Needs nothing but Python itself."""
