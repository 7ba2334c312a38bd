"""``python -m demo``: ``make demo`` calls it."""

from app.cli import main
from demo.command import demo

if __name__ == "__main__":
    main(demo, name="demo")
