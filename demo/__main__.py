"""``python -m demo``, which ``make demo`` calls."""

from app.cli import main
from demo.command import demo

if __name__ == "__main__":
    main(demo, name="demo")
