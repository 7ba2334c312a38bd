"""What is loaded after an edit: the new texts, and the last good ones of what the edit broke."""

import time
from dataclasses import replace
from pathlib import Path

from batchord.catalog.editions import Edition, Store, stamp
from batchord.catalog.folder import pipeline_files, python_files
from batchord.catalog.reading import Problem
from batchord.catalog.trial import Tried, try_files

_KEPT = "; Batchord uses its last good version until you fix the file"


def stamps_of(folder: Path, before: Edition | None) -> dict[str, list[int]]:
    """How all files look now that may be loaded: those of the folder, and the author's modules of elsewhere."""
    paths = {str(folder / file) for file in python_files(folder)}
    if before is not None:
        paths |= before.stamps.keys()
    return {path: stamp(path) for path in sorted(paths)}


def take_up(folder: Path, before: Edition | None, stamps: dict[str, list[int]], store: Store) -> Edition:
    """Tries the files as they are, and decides which text of each is to be used.

    A file that the edit broke is held back at its last good text, and with it every file that shares a changed module
    with it: nothing mixes two versions. All other files are taken as they are.
    """
    texts = {}
    for path in stamps:
        try:
            texts[path] = Path(path).read_bytes()
        except OSError:  # gone
            continue
    files = pipeline_files(folder)
    first = try_files(folder, files, texts)
    # Looked at before they were read: what changed meanwhile is looked at again.
    looked = {**stamps, **{path: stamp(path) for path in first.texts if path not in stamps}}
    if before is None or not first.bad & set(before.good):
        return _edition(first, first.problems, looked, store, before)
    try:
        held, kept = _held_back(before, first, store.texts(before))
    except OSError:  # somebody has deleted what was kept
        return _edition(first, first.problems, looked, store, before)
    every = sorted({*files, *held})
    second = try_files(folder, every, kept)
    newcomers = first.bad - set(before.good)
    if second.bad & held and newcomers:  # as a copy of a file, which takes the names of its pipelines
        second = try_files(folder, [file for file in every if file not in newcomers], kept)
    if hopeless := second.bad & first.bad & held:
        # The text that was kept cannot be loaded either, as after an upgrade: the author is told of the new one.
        good = [file for file in before.good if file not in hopeless]
        return take_up(folder, replace(before, good=good), stamps, store)
    told = [
        replace(problem, what=problem.what + _KEPT) if problem.file in held - second.bad else problem
        for problem in first.problems
        if problem.file not in second.bad or problem.file in newcomers
    ]
    problems = [*told, *(each for each in second.problems if each not in told)]
    return _edition(second, problems, looked, store, before)


def _held_back(before: Edition, tried: Tried, old: dict[str, bytes]) -> tuple[set[str], dict[str, bytes]]:
    """The files that are held back, and the texts that are loaded then; ``old``: the texts of before."""
    changed = {path for path in old.keys() | tried.texts.keys() if old.get(path) != tried.texts.get(path)}
    reached = {
        file: changed & {*before.closures.get(file, ()), *tried.closures.get(file, ())}
        for file in {*before.good, *tried.files}
    }
    held = tried.bad & set(before.good)
    while True:
        paths = {path for file in held for path in reached[file]}
        more = {file for file, own in reached.items() if file in before.good and own & paths} - held
        if not more:
            break
        held |= more
    kept = {path: text for path, text in tried.texts.items() if path not in paths}
    return held, kept | {path: old[path] for path in paths if path in old}


def _below(path: str, folder: Path) -> bool:
    return path.startswith(f"{folder}/")


def _edition(
    tried: Tried,
    problems: list[Problem],
    stamps: dict[str, list[int]],
    store: Store,
    before: Edition | None,
) -> Edition:
    now = time.time()
    # A module of elsewhere that nothing imports any more is the author's other business.
    reached = {path for closure in tried.closures.values() for path in closure}
    texts = {path: text for path, text in tried.texts.items() if path in reached or _below(path, store.folder)}
    edition = Edition(
        texts={path: store.keep(text) for path, text in sorted(texts.items())},
        files=[file for file in tried.files if file not in tried.unusable],
        good=[file for file in tried.files if file not in tried.bad],
        closures=tried.closures,
        problems=problems,
        stamps={path: seen for path, seen in stamps.items() if path in texts or (seen and _below(path, store.folder))},
        tried_at=now,
        since=now,
    )
    return replace(edition, since=before.since) if before is not None and before.id == edition.id else edition
