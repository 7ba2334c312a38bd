"""What people are told of pipeline files: that one is broken, and that a scheduled pipeline has gone."""

from batchord.core.run.alerts import AlertKind, NewAlert
from batchord.flow.parts import Parts

#: How long no process may have seen a pipeline's file: in a deploy some see the old files and some the new ones.
GONE_SECONDS = 60.0


def watch_files(parts: Parts) -> bool:
    """Keeps the alerts that are due; whether there are any."""
    broken: dict[str, list[str]] = {}
    for problem in parts.catalog.problems:
        broken.setdefault(problem.file, []).append(str(problem))
    told = [_tell_of_broken(parts, file, problems) for file, problems in broken.items()]
    known = parts.ledger.alerts.incidents(AlertKind.BROKEN_FILE)
    told += [_tell_of_mended(parts, file) for file in known if file not in broken]
    # What a broken file declares is not known: a pipeline that seems to be gone may be in it.
    if not broken:
        told += _tell_of_gone(parts)
    return any(told)


def _tell_of_broken(parts: Parts, file: str, problems: list[str]) -> bool:
    kind = AlertKind.BROKEN_FILE
    said = parts.mask("\n".join(problems))
    return parts.ledger.alerts.begin(
        kind,
        NewAlert(
            event=f"{kind}:{file}",
            kind=kind,
            pipeline=file,
            title=f"{file} is broken",
            message=f"{said}\nLook closer: batchord pipelines. Batchord loads the corrected file within seconds.",
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
    told = []
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
        told.append(parts.ledger.alerts.keep(alert))
        # After the alert: whoever dies in between finds it again, and keeps it once.
        parts.ledger.pipelines.forget_scheduled(name)
    return told
