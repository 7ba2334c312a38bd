"""The demo's three models. They are built once from real data and weights, each with an honest measure."""

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
    #: One line for the user while the model is being built.
    DOING: str
    #: Rises with every change of the model, so that an older build is not used.
    REVISION: int

    def build(self, folder: Path) -> "tuple[str, float, int]":
        """Writes the model into ``folder``, which exists.

        Returns what was measured, the share from 0 to 1, and the number of measured records.
        """


RECIPES: tuple[Recipe, ...] = (sentiment, topics, pictures)


@dataclass(frozen=True, kw_only=True)
class BuiltModel:
    """A model on disk, and how good it is."""

    name: str
    #: The model's folder, which is its location in a pipeline.
    location: str
    #: What ``accuracy`` is the share of, such as "held-out reviews of films not trained on".
    measure: str
    accuracy: float
    #: How many records were held out.
    n: int
    #: How long it took to build the model.
    seconds: float


def build_models(
    folder: Path, progress: Callable[[str], None], recipes: Iterable[Recipe] = RECIPES
) -> list[BuiltModel]:
    """The models of ``recipes`` below ``folder``. It builds missing ones, which takes about a minute in all.

    It calls ``progress`` once for each model that it builds. A model is there entirely or not at all. Raises
    ConfigurationError if the demo's data are missing.
    """
    return [_built(folder, recipe) or _build(folder, recipe, progress) for recipe in recipes]


def _built(folder: Path, recipe: Recipe) -> BuiltModel | None:
    facts = _facts(folder, recipe)
    if not facts.exists():
        return None
    values = json.loads(facts.read_text())
    if values.pop("revision") != recipe.REVISION:
        return None
    return BuiltModel(**values | {"location": str(folder / recipe.NAME)})


def _build(folder: Path, recipe: Recipe, progress: Callable[[str], None]) -> BuiltModel:
    progress(recipe.DOING)
    started = time.monotonic()
    draft, target, facts = folder / f".{recipe.NAME}-{os.getpid()}", folder / recipe.NAME, _facts(folder, recipe)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        measure, accuracy, n = recipe.build(draft)
        # The file with the facts is deleted first and written last. So if it exists, the whole model exists.
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
    facts_draft = facts.with_suffix(".draft")
    facts_draft.write_text(json.dumps(asdict(built) | {"revision": recipe.REVISION}))
    facts_draft.replace(facts)
    return built


def _facts(folder: Path, recipe: Recipe) -> Path:
    # Beside the model's folder, not in it: every file in the folder is a part of the model's version.
    return folder / f"{recipe.NAME}.json"
