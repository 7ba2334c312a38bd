"""The demo's three models: built once from real data and weights, each with an honest measure."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from demo import pictures, sentiment, topics


class Recipe(Protocol):
    """A module that builds one model."""

    NAME: str
    #: One line for the user, while it is built.
    DOING: str
    #: Rises with every change of what is built, so that an older build is not taken for it.
    REVISION: int

    def build(self, folder: Path) -> "tuple[str, float, int]":
        """Write the model into ``folder``, which exists; what was measured, the share from 0 to 1, and of how many."""


RECIPES: tuple[Recipe, ...] = (sentiment, topics, pictures)


@dataclass(frozen=True, kw_only=True)
class BuiltModel:
    """A model on disk, and how good it is."""

    name: str
    #: The folder; what a pipeline gives as its model's location.
    location: str
    #: What ``accuracy`` is the share of, such as "held-out reviews of films not trained on".
    measure: str
    accuracy: float
    #: How many were held out.
    n: int
    #: How long the building took.
    seconds: float


def build_models(
    folder: Path, progress: Callable[[str], None], recipes: Iterable[Recipe] = RECIPES
) -> list[BuiltModel]:
    """The models of ``recipes`` below ``folder``, built where they are not there yet: about a minute in all.

    ``progress`` is told what is being built, once for each; nothing when all are there. A model is there
    entirely or not at all. Raises ConfigurationError when the demo's data are missing.
    """
    return [_built(folder, recipe) or _build(folder, recipe, progress) for recipe in recipes]


def _built(folder: Path, recipe: Recipe) -> BuiltModel | None:
    facts = _facts(folder, recipe)
    if not facts.exists():
        return None
    found = json.loads(facts.read_text())
    if found.pop("revision") != recipe.REVISION:
        return None
    return BuiltModel(**found | {"location": str(folder / recipe.NAME)})


def _build(folder: Path, recipe: Recipe, progress: Callable[[str], None]) -> BuiltModel:
    progress(recipe.DOING)
    started = time.monotonic()
    draft, target, facts = folder / f".{recipe.NAME}-{os.getpid()}", folder / recipe.NAME, _facts(folder, recipe)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        measure, accuracy, n = recipe.build(draft)
        # The facts go first and come last: whoever finds them finds the whole model.
        facts.unlink(missing_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    built = BuiltModel(
        name=recipe.NAME,
        location=str(target),
        measure=measure,
        accuracy=accuracy,
        n=n,
        seconds=round(time.monotonic() - started, 1),
    )
    written = facts.with_suffix(".draft")
    written.write_text(json.dumps(asdict(built) | {"revision": recipe.REVISION}))
    written.replace(facts)
    return built


def _facts(folder: Path, recipe: Recipe) -> Path:
    # Beside the model, not in it: what lies in its folder is part of its version.
    return folder / f"{recipe.NAME}.json"
