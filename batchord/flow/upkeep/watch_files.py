"""Keeps alerts about pipeline files: a file is broken, works again, or no longer declares a scheduled pipeline."""

from batchord.core.run.alerts import AlertKind, NewAlert
from batchord.flow.parts import Parts

#: How long a pipeline must be missing for all processes. In a deploy, some have the old files and some the new ones.
GONE_SECONDS = 60.0


def watch_files(parts: Parts) -> bool:
    """Keeps the alerts. Returns whether there are any new ones."""
    broken: dict[str, list[str]] = {}
    for problem in parts.catalog.problems:
        broken.setdefault(problem.file, []).append(str(problem))
    kept = [_tell_of_broken(parts, file, problems) for file, problems in broken.items()]
    broken_before = parts.ledger.alerts.incidents(AlertKind.BROKEN_FILE)
    kept += [_tell_of_mended(parts, file) for file in broken_before if file not in broken]
    # A broken file may declare a pipeline that seems to be gone.
    if not broken:
        kept += _tell_of_gone(parts)
    return any(kept)


def _tell_of_broken(parts: Parts, file: str, problems: list[str]) -> bool:
    kind = AlertKind.BROKEN_FILE
    text = parts.mask("\n".join(problems))
    return parts.ledger.alerts.begin(
        kind,
        NewAlert(
            event=f"{kind}:{file}",
            kind=kind,
            pipeline=file,
            title=f"{file} is broken",
            message=f"{text}\nLook closer: batchord pipelines. Batchord loads the corrected file within seconds.",
        ),
    )


def _tell_of_mended(parts: Parts, file: str) -> bool:
    kind = AlertKind.RECOVERED
    return parts.ledger.alerts.recover(
        AlertKind.BROKEN_FILE,
        NewAlert(
            event=f"{kind}:{AlertKind.BROKEN_FILE}:{file}",
            kind=kind,
            pipeline=file,
            title=f"{file} works again",
            message=f"{file} has no problems any more.",
        ),
    )


def _tell_of_gone(parts: Parts) -> list[bool]:
    names = parts.catalog.names()
    parts.ledger.pipelines.note_scheduled([name for name in names if parts.catalog.get(name).schedule is not None])
    kept = []
    for name, seen_at in parts.ledger.pipelines.gone(names, for_seconds=GONE_SECONDS).items():
        kind = AlertKind.PIPELINE_GONE
        alert = NewAlert(
            event=f"{kind}:{name}:{seen_at.isoformat()}",
            kind=kind,
            pipeline=name,
            title=f"{name}: no file declares it any more",
            message=f"Since {seen_at:%Y-%m-%d %H:%M:%S %Z} no file declares the scheduled pipeline {name}, so it no "
            "longer runs. Its predictions stay. If you did not intend this, restore its file.",
        )
        kept.append(parts.ledger.alerts.keep(alert))
        # This comes after the alert: if the process dies in between, the next one keeps the same alert again, once.
        parts.ledger.pipelines.forget_scheduled(name)
    return kept
