"""What somebody gave for the settings, and where: the environment, ``batchord.toml``, ``servers.json``.

An earlier place in this list wins. Nothing here knows which values are allowed; see :class:`.fields.Settings`.
"""

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from batchord.core.errors import ConfigurationError
from batchord.core.text.error_text import clause
from batchord.project import ProjectFile, expanded, find_project, read_project
from batchord.settings.allowed import allowed, is_path, is_secret, is_text
from batchord.settings.secret_files import SUFFIX, read_secret

PREFIX = "BATCHORD_"
#: The file in the home in which the local stack writes the addresses of its servers.
SERVERS_FILE = "servers.json"
#: The roles of one database. They belong to the ``database_url`` of the same place.
_ROLES = ("owner_url", "author_url", "source_url", "admin_url")
#: Settings with several values: in batchord.toml, these may be an array.
_LISTS = ("alert_urls", "flower_hosts", "flower_viewers")


class Place(StrEnum):
    """A place of settings."""

    ENVIRONMENT = "environment"
    PROJECT = "batchord.toml"
    SERVERS = "servers.json"
    DEFAULT = "default"


@dataclass(frozen=True, kw_only=True)
class Given:
    """A value that somebody gave for a setting."""

    name: str
    value: Any = field(repr=False)  # may be a password
    place: Place
    #: The place for an error's message: the variable, or the file with the line and the key.
    label: str
    #: The line of batchord.toml; None in other places.
    line: int | None = None
    #: The file in which the secret stands; None if the value stands in the place itself.
    file: Path | None = None


@dataclass(frozen=True, kw_only=True)
class SettingProblem:
    """Something in a setting that a person must correct."""

    #: None: the problem is that of a whole file, or of a name that no setting has.
    name: str | None
    what: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """Everything that was found in all places."""

    #: None if there is none, or it cannot be read.
    project: ProjectFile | None
    #: batchord.toml, whether it can be read or not; None if there is none.
    path: Path | None
    #: By the name of the setting.
    given: Mapping[str, Given]
    problems: Collection[SettingProblem]
    #: What a person may want to know, although nothing is wrong.
    remarks: Collection[str]
    #: Defaults that depend on the project: its folders.
    defaults: Mapping[str, Path]

    def without_stack(self) -> frozenset[str]:
        """The names of the settings that a person gave, not the local stack."""
        return frozenset(name for name, each in self.given.items() if each.place is not Place.SERVERS)


def find_settings(
    fields: Mapping[str, FieldInfo], *, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Found:
    """Looks into all places. It raises nothing: what is wrong is among the problems.

    ``folder``: where to begin to look for batchord.toml; None: the working directory.
    """
    problems: list[SettingProblem] = []
    path, strangers = find_project(folder)
    remarks = [
        f"{stranger} is not used: it lies above the working directory, and another user may have put it there."
        for stranger in strangers
    ]
    project: ProjectFile | None = None
    if path is not None:
        try:
            project = read_project(path)
        except ConfigurationError as error:
            problems.append(SettingProblem(name=None, what=str(error)))
    around = _from_environment(fields, os.environ if environment is None else environment, problems)
    written = {} if project is None else _from_project(fields, project, problems, unless=around)
    below = _of_one_database(around, written, remarks)
    given = {**below, **around}
    defaults = {} if path is None else {name: path.parent / fields[name].default for name in ("home", "pipelines")}
    home = given["home"].value if "home" in given else defaults.get("home", fields["home"].default)
    stack = _from_stack(fields, expanded(home) / SERVERS_FILE, problems)
    if "database_url" in given:
        stack = {name: each for name, each in stack.items() if name not in _ROLES}
    return Found(
        project=project,
        path=path,
        given={**stack, **given},
        problems=problems,
        remarks=remarks,
        defaults=defaults,
    )


def _from_environment(
    fields: Mapping[str, FieldInfo], environment: Mapping[str, str], problems: list[SettingProblem]
) -> dict[str, Given]:
    # In upper and in lower case. Compose and shells pass on what is not set as an empty text.
    variables = {name.upper(): value for name, value in environment.items() if value}
    given: dict[str, Given] = {}
    for name, each in fields.items():
        variable = f"{PREFIX}{name.upper()}"
        value, file = variables.get(variable), None
        label = variable
        if is_secret(each) and (named := variables.get(f"{variable}{SUFFIX.upper()}")) is not None:
            if value is not None:
                what = f"{variable} and {variable}{SUFFIX.upper()} are both set. Unset one of them."
                problems.append(SettingProblem(name=name, what=what))
                continue
            label, file = f"{variable}{SUFFIX.upper()}", expanded(named)
            value = _secret(name, file, label, problems)
        if value is not None:
            given[name] = Given(name=name, value=value, place=Place.ENVIRONMENT, label=label, file=file)
    return given


def _from_project(
    fields: Mapping[str, FieldInfo],
    project: ProjectFile,
    problems: list[SettingProblem],
    *,
    unless: Collection[str],
) -> dict[str, Given]:
    """``unless``: settings that the environment gives. Their files of secrets need not be readable here."""
    given: dict[str, Given] = {}
    for key, raw in project.values.items():
        name = key.removesuffix(SUFFIX) if _names_file(key, fields) else key
        label = f"{project.place(key)}: `{key}`"
        if name not in fields:
            problems.append(SettingProblem(name=None, what=_unknown(key, label, fields)))
            continue
        if name in given:
            what = f"{project.path}: `{name}` and `{name}{SUFFIX}` are both given. Remove one of them."
            problems.append(SettingProblem(name=name, what=what))
            continue
        value, file = _plain(raw, fields[name], is_list=name in _LISTS), None
        if value is None or (key != name and not isinstance(value, str)):
            kind = "the path of a file" if key != name else allowed(fields[name])
            problems.append(SettingProblem(name=name, what=f"{label} must be {kind}."))
            continue
        if key != name and name in unless:
            continue
        if key != name:
            file = project.below(value)
            value = _secret(name, file, label, problems)
            if value is None:
                continue
        elif is_path(fields[name]) and isinstance(value, str):
            value = project.below(value)
        line = project.line(key)
        given[name] = Given(name=name, value=value, place=Place.PROJECT, label=label, line=line, file=file)
    return given


def _from_stack(fields: Mapping[str, FieldInfo], file: Path, problems: list[SettingProblem]) -> dict[str, Given]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        values = None
    if not isinstance(values, dict):
        what = f"{file} cannot be read. `batchord up` writes it again."
        problems.append(SettingProblem(name=None, what=what))
        return {}
    # The file of a newer release may have more names.
    return {
        name: Given(name=name, value=value, place=Place.SERVERS, label=f"{file}: `{name}`")
        for name, value in values.items()
        if name in fields
    }


def _of_one_database(
    around: Mapping[str, Given], written: Mapping[str, Given], remarks: list[str]
) -> Mapping[str, Given]:
    """The settings of the file without its roles, if the environment names another database.

    Otherwise an author's step would write to the file's database while the ledger is in the other one.
    """
    if "database_url" not in around:
        return written
    unused = [written[name] for name in _ROLES if name in written and name not in around]
    remarks += [
        f"{each.label} is not used: {around['database_url'].label} names the database, and its roles belong to it."
        for each in unused
    ]
    return {name: each for name, each in written.items() if each not in unused}


def _secret(name: str, file: Path, label: str, problems: list[SettingProblem]) -> str | None:
    try:
        return read_secret(file)
    except ValueError as error:
        problems.append(SettingProblem(name=name, what=f"{label}: {clause(error)}."))
        return None


def _plain(raw: Any, field_info: FieldInfo, *, is_list: bool) -> Any:
    """A value of batchord.toml as the setting takes it; None if it is of another kind."""
    if is_list and isinstance(raw, list) and all(isinstance(part, str) for part in raw):
        return " ".join(raw)
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        return None
    return None if is_text(field_info) and not isinstance(raw, str) else raw


def _names_file(key: str, fields: Mapping[str, FieldInfo]) -> bool:
    setting = key.removesuffix(SUFFIX)
    return setting != key and setting in fields and is_secret(fields[setting])


def _unknown(key: str, label: str, fields: Mapping[str, FieldInfo]) -> str:
    if alike := nearest(key, known_names(fields)):
        return f"{label} is no setting. Did you mean `{alike}`?"
    return f"{label} is no setting. `batchord config --all` lists all settings."


def known_names(fields: Mapping[str, FieldInfo]) -> list[str]:
    """All keys that batchord.toml may have."""
    return [*fields, *(f"{name}{SUFFIX}" for name, each in fields.items() if is_secret(each))]


def nearest(key: str, names: Iterable[str]) -> str | None:
    """The name that somebody who wrote ``key`` most likely meant; None if no name is like it."""
    from difflib import get_close_matches  # only for what is wrong

    plain = key.lower().removeprefix(PREFIX.lower()).replace("-", "_")
    return next(iter(get_close_matches(plain, list(names), n=1, cutoff=0.75)), None)
