"""Cuts a failing schedule down to the decisions that it needs, and tells it as a story."""

import re
from collections.abc import Callable, Sequence

from tests.simulation.simulation import Outcome, Simulation

_PASSED = re.compile(r"\s*\S+(?: days?, \S+)?  \d+ s pass")


def shrink(simulation: Simulation, failed: Outcome) -> Outcome:
    """The same schedule with as few decisions other than harmless as still give one of the same findings.

    It is Zeller's ddmin (A. Zeller and R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002), but
    for one thing: after decisions that were left out it tries those that come next, not the first ones again. It ends
    when no single decision can be left out.
    """
    kinds = {_kind(finding) for finding in failed.findings}

    def fails(kept: Sequence[str]) -> bool:
        outcome = simulation.run(failed.seed, only=frozenset(kept))
        return any(_kind(finding) in kinds for finding in outcome.findings)

    kept = _ddmin(list(failed.taken), fails)
    return simulation.run(failed.seed, only=frozenset(kept), tells_rows=True)


def _ddmin(names: list[str], fails: Callable[[Sequence[str]], bool]) -> list[str]:
    size = len(names) + 1
    while size > 1:
        size //= 2
        start = needed = 0  # `needed`: how many parts in a row could not be left out
        while needed * size < len(names):
            rest = names[:start] + names[start + size :]
            if fails(rest):
                names, needed = rest, 0
            else:
                start, needed = start + size, needed + 1
            if start >= len(names):
                start = 0
    return names


def story(outcome: Outcome) -> str:
    """The schedule as a text: what was found, and who did what, in order. Waits in a row become one line."""
    lines = [f"seed {outcome.seed}", *(f"  {finding}" for finding in outcome.findings), ""]
    waited = False
    for line in outcome.story:
        if _PASSED.fullmatch(line):
            waited = True
            continue
        if waited:
            lines.append(f"{'':>15}  (time passes)")
        waited = False
        lines.append(line)
    return "\n".join(lines)


def _kind(finding: str) -> str:
    return finding.partition(":")[0]
