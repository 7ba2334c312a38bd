"""The decisions of one schedule. Each has a name, so that a schedule can be cut down decision by decision."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

_RANGE = 2**64


@dataclass(kw_only=True)
class Chance:
    """Decides by a seed. The same seed decides the same, and no decision depends on another one.

    A decision is named by its label and by how often the label came before. Its value is a digest of the seed and this
    name. So if one decision is left out, all others stay as they were.
    """

    seed: int
    #: The names of the decisions that may be other than harmless; None: all. Harmless means that nothing happens, or
    #: that the first in line is taken.
    only: frozenset[str] | None = None
    #: The names of all decisions that did not take the harmless way, in their order.
    taken: list[str] = field(default_factory=list)
    _passes: Counter[str] = field(default_factory=Counter)

    def happens(self, label: str, probability: float) -> bool:
        """Whether something happens that is not the usual course."""
        if probability <= 0:
            return False
        name, value = self._drawn(label)
        if value >= probability * _RANGE or not self._may(name):
            return False
        self.taken.append(name)
        return True

    def choose(self, label: str, choices: Sequence[T]) -> T:
        """One of ``choices``, of which the first is the harmless one."""
        name, value = self._drawn(label)
        place = value * len(choices) // _RANGE if self._may(name) else 0
        if place:
            self.taken.append(name)
        return choices[place]

    def number(self, label: str) -> int:
        """A number of 64 bits that only has to differ from others, such as a token."""
        return self._drawn(label)[1]

    def _may(self, name: str) -> bool:
        return self.only is None or name in self.only

    def _drawn(self, label: str) -> tuple[str, int]:
        self._passes[label] += 1
        name = f"{label}#{self._passes[label]}"
        digest = hashlib.blake2b(f"{self.seed}/{name}".encode(), digest_size=8).digest()
        return name, int.from_bytes(digest)
