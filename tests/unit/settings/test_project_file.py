"""Settings in batchord.toml: it is found from subfolders, its paths are its own, and what is wrong is named."""

import os
from pathlib import Path

import pytest

from batchord.core.errors import ConfigurationError
from batchord.project import find_project
from batchord.settings import Place, Settings, find_settings, given_settings, settings

_URL = "postgresql://me:hunter2@127.0.0.1:5432/ledger"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, in one of whose subfolders a person works."""
    root = tmp_path / "shop"
    (root / "pipelines" / "deep").mkdir(parents=True)
    monkeypatch.chdir(root / "pipelines" / "deep")
    monkeypatch.setenv("HOME", str(tmp_path))
    settings.cache_clear()
    yield root
    settings.cache_clear()


def write(project: Path, text: str) -> Path:
    """The project's file, with this text."""
    file = project / "batchord.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refused(project: Path, text: str) -> str:
    """The message with which a process refuses this file."""
    write(project, text)
    with pytest.raises(ConfigurationError) as caught:
        settings()
    return str(caught.value)


def test_the_file_is_found_from_a_subfolder(project: Path) -> None:
    """Its values count, and its paths begin at its own folder, the defaults of the folders too."""
    write(project, 'lease_seconds = 30\npipelines = "predictions"\ns3_region = "eu-central-1"\n')
    configured = settings()
    assert (configured.lease_seconds, configured.s3_region) == (30, "eu-central-1")
    assert configured.pipelines == project / "predictions"
    assert configured.home == project / ".batchord"
    write(project, 'home = "/var/lib/shop"\npipelines = "../other/pipelines"\n')
    settings.cache_clear()
    assert settings().home == Path("/var/lib/shop")
    assert settings().pipelines == project.parent / "other" / "pipelines"
    write(project, 'home = "~/shop"\n')
    settings.cache_clear()
    assert settings().home == project.parent / "shop"
    assert settings().pipelines == project / "pipelines"


def test_the_nearest_file_counts_alone(project: Path) -> None:
    """Nothing of a file further up is added to it."""
    write(project, "lease_seconds = 30\nmax_attempts = 2\n")
    (project / "pipelines" / "batchord.toml").write_text("max_attempts = 3\n")
    assert (settings().max_attempts, settings().lease_seconds) == (3, 60)
    assert settings().home == project / "pipelines" / ".batchord"


def test_the_search_ends_at_the_persons_home(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the home counts; one above it does not."""
    (project.parent / "batchord.toml").write_text("max_attempts = 3\n")
    assert settings().max_attempts == 3
    monkeypatch.setenv("HOME", str(project))
    settings.cache_clear()
    assert settings().max_attempts == 5


def test_a_strangers_file_above_is_not_used(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a shared folder, anybody could choose the code that others execute; `batchord config` says so."""
    file = write(project, "max_attempts = 3\n")
    assert find_project() == (file, [])
    real = Path.lstat

    def lstat(path: Path) -> os.stat_result:
        found = list(real(path))
        if path == file:
            found[4] += 7  # the owner
        return os.stat_result(found)

    monkeypatch.setattr(Path, "lstat", lstat)
    assert find_project() == (None, [file])
    assert find_project(project) == (file, []), "where one works oneself, as before"
    (remark,) = find_settings(Settings.model_fields).remarks
    assert remark.startswith(f"{file} is not used")


def test_a_file_in_a_folder_of_everybody_is_not_used(project: Path) -> None:
    """Anybody could lay pipelines beside it, or a link to a file of somebody else's."""
    file = write(project, "max_attempts = 3\n")
    project.chmod(0o1777)
    assert find_project() == (None, [file])
    project.chmod(0o755)
    assert find_project() == (file, [])


def test_the_environment_wins_and_an_empty_variable_does_not_count(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As before batchord.toml."""
    write(project, 'max_attempts = 3\nlease_seconds = 30\nhome = "there"\n')
    monkeypatch.setenv("BATCHORD_MAX_ATTEMPTS", "4")
    monkeypatch.setenv("BATCHORD_LEASE_SECONDS", "")
    monkeypatch.setenv("BATCHORD_HOME", "here")
    assert (settings().max_attempts, settings().lease_seconds) == (4, 30)
    assert settings().home == Path("here"), "relative to the working directory"
    assert {"max_attempts", "lease_seconds", "home"} == given_settings()


def test_roles_belong_to_the_database_of_their_place(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise steps would write to the file's database while the ledger is in the environment's."""
    file = write(project, 'database_url = "postgresql://prod/x"\nauthor_url = "postgresql://author@prod/x"\n')
    assert settings().database_roles().author == "postgresql://author@prod/x"
    settings.cache_clear()
    monkeypatch.setenv("BATCHORD_DATABASE_URL", "postgresql://test/x")
    assert settings().database_roles().author == "postgresql://test/x"
    (remark,) = find_settings(Settings.model_fields).remarks
    assert remark.startswith(f"{file}:2: `author_url` is not used: BATCHORD_DATABASE_URL names the database")


def test_the_local_stacks_roles_give_way_to_a_database_of_the_file(project: Path) -> None:
    """As they give way to one of the environment."""
    (project / ".batchord").mkdir()
    (project / ".batchord" / "servers.json").write_text(
        '{"database_url": "postgresql://l/x", "author_url": "postgresql://a@l/x", "redis_url": "redis://l/0"}'
    )
    assert not given_settings()
    write(project, "")
    assert settings().database_roles().author == "postgresql://a@l/x", "found from the subfolder, too"
    settings.cache_clear()
    write(project, f'database_url = "{_URL}"')
    assert settings().database_roles().author == _URL
    assert settings().require_redis_url() == "redis://l/0"
    assert given_settings() == {"database_url"}


def test_texts_with_several_values_may_be_arrays(project: Path) -> None:
    """The receivers of alerts, and the host names of Flower."""
    write(project, 'alert_urls = ["json://a", "json://b"]\nflower_hosts = ["a.example.com", "b.example.com"]\n')
    assert settings().alert_urls is not None
    assert settings().alert_urls.get_secret_value() == "json://a json://b"
    assert settings().flower_hosts.split() == ["a.example.com", "b.example.com"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("lease_seconds = 0", "`lease_seconds` must be a number, greater than 0, not '0'."),
        ('lease_seconds = "soon"', "`lease_seconds` must be a number, greater than 0, not 'soon'."),
        ("max_shards = 5000", "`max_shards` must be a whole number, at least 1 and at most 1,000, not '5000'."),
        ("max_attempts = true", "`max_attempts` must be a whole number, at least 1."),
        ('log_format = "xml"', "`log_format` must be `text` or `json`, not 'xml'."),
        ('log_store = "disk"', "`log_store` must be `ledger` or `s3://bucket/prefix`, not 'disk'."),
        ("s3_region = 5", "`s3_region` must be a text."),
        ("redis_url = 5", "`redis_url` must be a text."),
        ("lease_secs = 5", "`lease_secs` is no setting. Did you mean `lease_seconds`?"),
        ("BATCHORD_LEASE_SECONDS = 5", "is no setting. Did you mean `lease_seconds`?"),
        ("database_url_fil = 'x'", "is no setting. Did you mean `database_url_file`?"),
        ("colour = 5", "`colour` is no setting. `batchord config --all` lists all settings."),
        ("[stack]", "`stack` is no setting."),
        ("lease_seconds = ", "is not TOML: Invalid value."),
    ],
)
def test_what_is_wrong_is_named(project: Path, line: str, told: str) -> None:
    """The file and its line, the key, and what is allowed, in one line."""
    message = refused(project, f"# settings\n\n{line}\n")
    place = project / "batchord.toml"
    assert message.startswith(str(place) if line.startswith("[") else f"{place}:3")
    assert told in message
    assert "\n" not in message
    assert message.endswith("`batchord config` shows where each setting comes from.")


def test_everything_that_is_wrong_is_named_at_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the environment and in the file; a secret never shows."""
    monkeypatch.setenv("BATCHORD_SWEEP_SECONDS", "-1")
    message = refused(project, 'max_attempts = 0\nredis_url = ["hunter2"]\n')
    assert message.startswith("3 problems in the settings")
    assert "- BATCHORD_SWEEP_SECONDS must be a number, greater than 0, not '-1'." in message
    assert "batchord.toml:1: `max_attempts` must be a whole number, at least 1, not '0'." in message
    assert "batchord.toml:2: `redis_url` must be a text." in message
    assert "hunter2" not in message


def test_lines_are_told_even_within_texts_of_several_lines(project: Path) -> None:
    """A text that holds what looks like the key does not mislead."""
    message = refused(project, 'flower_hosts = """\nmax_attempts = 1\n"""\n"max_attempts" = 0\n')
    assert "batchord.toml:4: `max_attempts`" in message


@pytest.mark.parametrize(
    ("content", "told"), [(b"\xff", "is not a UTF-8 text"), (b"\xef\xbb\xbfmax_attempts = 0", "toml:1: `max_attempts`")]
)
def test_odd_files_are_told(project: Path, content: bytes, told: str) -> None:
    """A byte order mark is none of the text."""
    (project / "batchord.toml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=told):
        settings()


def test_an_address_that_cannot_be_read_names_its_place(project: Path) -> None:
    """The file with its line, not a variable that nobody set."""
    file = write(project, 'database_url = "mysql://me:hunter2@h/x"\n')
    with pytest.raises(ConfigurationError, match="must be the address of a PostgreSQL") as caught:
        settings().require_database_url()
    assert str(caught.value).startswith(f"{file}:1: `database_url` must be")
    assert "hunter2" not in str(caught.value)


def test_a_damaged_file_of_the_stack_is_told(project: Path) -> None:
    """With the way out."""
    write(project, "")
    (project / ".batchord").mkdir()
    (project / ".batchord" / "servers.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"servers\.json cannot be read. `batchord up` writes it again"):
        settings()


def test_places_are_told(project: Path) -> None:
    """For `batchord config`."""
    write(project, "\nmax_attempts = 3\n")
    given = find_settings(Settings.model_fields).given["max_attempts"]
    assert (given.place, given.line) == (Place.PROJECT, 2)
