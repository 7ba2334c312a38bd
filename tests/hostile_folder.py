"""A working directory with files that are named like modules. None of them may ever run."""

from pathlib import Path

#: Modules of Python, modules that Celery and Flower look for, and modules that our processes import late.
_NAMES = [
    "json",
    "sitecustomize",
    "usercustomize",
    "typing",
    "signal",
    "asyncio",
    "encodings",
    "app",
    "batchord",
    "workers",
    "beat",
    "tools",
    "celery",
    "celeryconfig",
    "celeryapp",
    "flowerconfig",
    "tasks",
    "kombu",
    "billiard",
    "redbeat",
    "tornado",
    "psycopg",
    "sqlalchemy",
    "numpy",
    "pandas",
    "boto3",
    "botocore",
    "nanio",
    "uvicorn",
    "starlette",
    "alembic",
    "apprise",
    "torch",
    "sklearn",
    "skops",
    "rich",
    "yaml",
]
_RAN = "ran"


def make_hostile(folder: Path) -> Path:
    """Makes the folder with such files. Each file writes down that it ran."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _NAMES:
        (folder / f"{name}.py").write_text(
            f"with open({str(folder / _RAN)!r}, 'a') as noted:\n    noted.write({name + ' '!r})\nraise SystemExit(77)\n"
        )
    return folder


def run_there(folder: Path) -> str:
    """The names of the files that ran."""
    noted = folder / _RAN
    return noted.read_text() if noted.exists() else ""
