"""The programs behind the Makefile. They set up ``.venv`` on a bare machine and need only Python itself."""
