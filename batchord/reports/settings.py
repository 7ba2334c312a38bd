"""The settings: the value of each, and where it comes from. It answers even if they cannot be used."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from batchord.core.addresses.receivers import address_name, split_addresses
from batchord.core.secrets.key_blocks import MASK
from batchord.core.secrets.patterns import masked
from batchord.core.secrets.values import of_address, worth_hiding
from batchord.settings import PREFIX, Found, Given, Place, Settings, find_settings, wrong_values
from batchord.settings.allowed import is_secret
from batchord.settings.given import known_names, nearest


@dataclass(frozen=True, kw_only=True)
class SettingReport:
    """One setting."""

    name: str
    #: The environment variable that sets it.
    variable: str
    #: Without secrets; None: it has no value.
    value: str | int | float | None
    place: Place
    #: The place with the line or the file, for people.
    origin: str
    #: The line of batchord.toml; None in other places.
    line: int | None
    #: The file in which a secret stands.
    file: str | None

    @property
    def is_default(self) -> bool:
        """Whether nobody gave a value."""
        return self.place is Place.DEFAULT


@dataclass(frozen=True, kw_only=True)
class SettingsReport:
    """All settings of a process that starts in this folder now."""

    #: The project's settings file; None if there is none.
    project_file: str | None
    settings: Sequence[SettingReport]
    #: What must be corrected before a process can start.
    problems: Sequence[str]
    #: What a person may want to know, although nothing is wrong.
    remarks: Sequence[str]

    @property
    def given(self) -> list[SettingReport]:
        """The settings that do not have their default."""
        return [each for each in self.settings if not each.is_default]

    def as_json(self, *, with_defaults: bool) -> dict[str, Any]:
        """The contract for programs."""
        settings = [asdict(each) for each in (self.settings if with_defaults else self.given)]
        return asdict(self) | {"settings": settings}


def settings_here(environment: Mapping[str, str]) -> SettingsReport:
    """The settings that a process with this environment has in the working directory."""
    fields = Settings.model_fields
    found = find_settings(fields, environment=environment)
    problems = [*found.problems, *wrong_values(found, fields)]
    return SettingsReport(
        project_file=None if found.path is None else str(found.path),
        settings=[_report(name, field, found) for name, field in fields.items()],
        problems=[problem.what for problem in problems],
        remarks=[*found.remarks, *_exposed(found, fields), *_misspelt(environment, fields)],
    )


def _report(name: str, field: FieldInfo, found: Found) -> SettingReport:
    given = found.given.get(name)
    default = found.defaults.get(name, field.get_default(call_default_factory=True))
    value = default if given is None else given.value
    return SettingReport(
        name=name,
        variable=f"{PREFIX}{name.upper()}",
        value=_shown(name, value, field),
        place=Place.DEFAULT if given is None else given.place,
        origin=_origin(given),
        line=None if given is None else given.line,
        file=None if given is None or given.file is None else str(given.file),
    )


def _origin(given: Given | None) -> str:
    if given is None:
        return Place.DEFAULT
    where = given.place if given.line is None else f"{given.place}:{given.line}"
    return where if given.file is None else f"{where}, file {given.file}"


def _shown(name: str, value: Any, field: FieldInfo) -> str | int | float | None:
    if value is None or (isinstance(value, int | float) and not is_secret(field)):
        return value
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    if not is_secret(field):
        return masked(text, known=())
    if name == "alert_urls":
        return ", ".join(map(address_name, split_addresses(text)))
    # People need the other parts of an address to see what is wrong.
    return masked(text, known=worth_hiding(of_address(text))) if "://" in text else MASK


def _exposed(found: Found, fields: Mapping[str, FieldInfo]) -> Iterator[str]:
    """A remark if every user of the machine can read the secrets in batchord.toml."""
    if found.project is None or not found.project.path.stat().st_mode & 0o004:
        return
    secrets = [
        name
        for name, each in found.given.items()
        if each.place is Place.PROJECT and each.file is None and is_secret(fields[name])
    ]
    if secrets:
        yield (
            f"Every user of this machine can read {', '.join(secrets)} in {found.project.path}. Put a secret into a "
            f'file of its own and name it, as in `{secrets[0]}_file = "…"`, or run `chmod 600 {found.project.path}`.'
        )


def _misspelt(environment: Mapping[str, str], fields: Mapping[str, FieldInfo]) -> Iterator[str]:
    """A remark for each variable that is most likely a misspelt setting."""
    names = known_names(fields)
    if f"{PREFIX}RUN_ID" in environment:  # the command of a step, which has variables of its own
        return
    for variable in sorted(environment):
        key = variable.upper().removeprefix(PREFIX).lower()
        if variable.upper().startswith(PREFIX) and key not in names and (alike := nearest(key, names)):
            yield f"{variable} is no setting, so it is ignored. Did you mean {PREFIX}{alike.upper()}?"
