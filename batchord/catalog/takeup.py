"""Decides what to load after an edit: the new texts, but the last good texts of files that the edit broke."""

import time
from dataclasses import replace
from pathlib import Path

from batchord.catalog.editions import Edition, Store, stamp
from batchord.catalog.reading import Problem
from batchord.catalog.trial import TrialResult, try_files
from batchord.core.code.folder import pipeline_files, python_files

_LAST_GOOD_USED = "; runs use its last good version until you fix the file"


def stamps_of(folder: Path, before: Edition | None) -> dict[str, list[int]]:
    """The stamps of all files that may be loaded: those of the folder, and the author's modules elsewhere."""
    paths = {str(folder / file) for file in python_files(folder)}
    if before is not None:
        paths |= before.stamps.keys()
    return {path: stamp(path) for path in sorted(paths)}


def take_up(folder: Path, before: Edition | None, stamps: dict[str, list[int]], store: Store) -> Edition:
    """Tries the current files and decides which text of each to use.

    A file that the edit broke is held back: its last good text is used. Every file that shares a changed module with it
    is held back, too, so that no file mixes two versions. All other files are used as they are.
    """
    texts = {}
    for path in stamps:
        try:
            texts[path] = Path(path).read_bytes()
        except OSError:  # the file is gone
            continue
    files = pipeline_files(folder)
    first = try_files(folder, files, texts)
    # The stamps are older than the texts, so a file that changed in between will be tried again.
    all_stamps = {**stamps, **{path: stamp(path) for path in first.texts if path not in stamps}}
    if before is None or not first.bad & set(before.good):
        return _edition(first, first.problems, all_stamps, store, before)
    try:
        held, mixed_texts = _held_back(before, first, store.texts(before))
    except OSError:  # somebody has deleted the stored texts
        return _edition(first, first.problems, all_stamps, store, before)
    every = sorted({*files, *held})
    second = try_files(folder, every, mixed_texts)
    newcomers = first.bad - set(before.good)
    if second.bad & held and newcomers:  # as a copy of a file, which takes the names of its pipelines
        second = try_files(folder, [file for file in every if file not in newcomers], mixed_texts)
    if hopeless := second.bad & first.bad & held:
        # The kept text cannot be loaded either, as after an upgrade: report the problem of the new text.
        good = [file for file in before.good if file not in hopeless]
        return take_up(folder, replace(before, good=good), stamps, store)
    first_problems = [
        replace(problem, what=problem.what + _LAST_GOOD_USED) if problem.file in held - second.bad else problem
        for problem in first.problems
        if problem.file not in second.bad or problem.file in newcomers
    ]
    problems = [*first_problems, *(problem for problem in second.problems if problem not in first_problems)]
    return _edition(second, problems, all_stamps, store, before)


def _held_back(before: Edition, tried: TrialResult, old: dict[str, bytes]) -> tuple[set[str], dict[str, bytes]]:
    """The files that are held back, and the texts to load instead. ``old``: the texts of the edition before."""
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
    new_texts = {path: text for path, text in tried.texts.items() if path not in paths}
    return held, new_texts | {path: old[path] for path in paths if path in old}


def _below(path: str, folder: Path) -> bool:
    return path.startswith(f"{folder}/")


def _edition(
    tried: TrialResult,
    problems: list[Problem],
    stamps: dict[str, list[int]],
    store: Store,
    before: Edition | None,
) -> Edition:
    now = time.time()
    # A module outside of the folder that no pipeline file imports any more does not matter.
    reached = {path for closure in tried.closures.values() for path in closure}
    texts = {path: text for path, text in tried.texts.items() if path in reached or _below(path, store.folder)}
    edition = Edition(
        texts={path: store.keep(text) for path, text in sorted(texts.items())},
        files=[file for file in tried.files if file not in tried.unusable],
        good=[file for file in tried.files if file not in tried.bad],
        closures=tried.closures,
        problems=problems,
        stamps={
            path: file_stamp
            for path, file_stamp in stamps.items()
            if path in texts or (file_stamp and _below(path, store.folder))
        },
        tried_at=now,
        since=now,
    )
    return replace(edition, since=before.since) if before is not None and before.id == edition.id else edition
