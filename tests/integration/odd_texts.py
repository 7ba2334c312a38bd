"""Texts that no terminal may obey."""

import re

#: Markup that closes what nobody opened, an emoji's name, and whatever a terminal obeys.
ODD = "]y [/oops] [red]x[/red] :smile: \x1b[2J\x1b]0;title\x07 \x9b1m \u202e\u2066 \u2028\x85 \r\x08\x7f"
FORGED = f"{ODD}\nforged line"
#: What none of it may print. A tab is none, and lines are folded.
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
