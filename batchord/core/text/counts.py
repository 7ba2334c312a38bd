"""Counts as people read them."""


def counted(number: int, noun: str, *, plural: str | None = None) -> str:
    """``1 shard``, ``2 shards``, ``12,345 records``: the number and its noun, in the right form.

    ``plural``: of a noun that takes more than an ``s``.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
