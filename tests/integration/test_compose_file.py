"""What docker-compose.yml, the Dockerfile and .env.example promise, read from the files themselves."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from batchord.output.own_secrets import is_own_secret
from tests.compose_commands import COMPOSE_FILE, ROOT, VariableNotSet, compose_file, interpolated, variables

FILE = compose_file()
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
LASTING = sorted(SERVICES.keys() - {"migrate"})
WORKERS = sorted(name for name in SERVICES if name.startswith("worker-"))
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
REQUIRED = sorted(name for name, default in variables(str(FILE)).items() if default is None)
ROLES = {"OWNER_PASSWORD", "LEDGER_PASSWORD", "AUTHOR_PASSWORD", "SOURCE_PASSWORD"}
SERVERS = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "FLOWER_BASIC_AUTH"}
SECRETS = ROLES | SERVERS


def celery_settings() -> dict[str, Any]:
    """What app/celery.py says, asked in a process of its own: its import needs an address of Redis."""
    code = (
        "import json; from batchord.app.celery import app; from batchord.app.configuration import QUEUES; "
        "print(json.dumps({'queues': QUEUES, 'shutdown': app.conf.worker_soft_shutdown_timeout}))"
    )
    environment = os.environ | {"BATCHORD_REDIS_URL": "redis://127.0.0.1:1/0"}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout
    settings: dict[str, Any] = json.loads(said)
    return settings


def seconds(duration: str) -> int:
    """A duration of the file's, all of which are given in seconds."""
    return int(duration.removesuffix("s"))


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_ports_are_published_on_loopback_only(name: str) -> None:
    """No other machine reaches a port."""
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_nothing_starts_without_a_secret(name: str) -> None:
    """A variable without a default stops Compose with a message that names it and says what to do."""
    values = dict.fromkeys(REQUIRED, "x") | {name: ""}
    with pytest.raises(VariableNotSet, match=rf"{name} is not set, copy \.env\.example"):
        interpolated(COMPOSE_FILE.read_text(encoding="utf-8"), values)


def test_no_password_has_a_default() -> None:
    """Every secret is required, and the example leaves it empty."""
    assert set(REQUIRED) == SECRETS
    assert set(re.findall(r"^(\w+)=$", EXAMPLE, re.MULTILINE)) == SECRETS


def test_the_example_names_every_variable_and_its_default() -> None:
    """Each variable is listed with its default."""
    said = dict(re.findall(r"^# ([A-Z_0-9]+)=(\S*)", EXAMPLE, re.MULTILINE))
    defaults = {name: default for name, default in variables(str(FILE)).items() if default is not None}
    assert said == defaults


@pytest.mark.parametrize("name", LASTING)
def test_lasting_services_restart_and_tell_their_health(name: str) -> None:
    """A service that ends is restarted, and one that hangs is reported as unhealthy."""
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries", "start_period"} == set(service["healthcheck"])
    assert service["mem_limit"]
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_services_start_after_what_they_need_is_ready(name: str) -> None:
    """Each dependency states a condition; a one-shot must have succeeded, a server must be healthy."""
    wanted = {
        needed: "service_completed_successfully" if needed == "migrate" else "service_healthy"
        for needed in SERVICES[name].get("depends_on", {})
    }
    assert {needed: how["condition"] for needed, how in SERVICES[name].get("depends_on", {}).items()} == wanted
    assert wanted or name in {"postgres", "redis", "s3"}


def test_images_are_pinned() -> None:
    """Every image that is not built here is named by its digest, and by a tag for people, which is not `latest`."""
    pinned = r"[\w./-]+:\d+(\.\d+)+(-slim)?@sha256:[0-9a-f]{64}"
    images = {name: service["image"] for name, service in SERVICES.items()}
    assert all(re.fullmatch(pinned, image) for name, image in images.items() if name not in OURS)
    assert {images[name] for name in OURS} == {"batchord:local"}
    (python,) = re.findall(r"^ARG PYTHON=(.+)$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(pinned, f"python:{python}")
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"python:${PYTHON}"}


def test_data_are_on_named_volumes() -> None:
    """What must survive a new container is on a volume that the file declares; pipelines are read only."""
    mounts = [interpolated(mount, {}) for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert {mount.split(":")[0] for mount in mounts} == {*FILE["volumes"], "./pipelines"}
    assert all(mount.endswith(":ro") for mount in mounts if mount.startswith("./"))
    # From version 18 on; the older images' folder would leave the data in a nameless volume.
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]


@pytest.mark.parametrize("name", OURS)
def test_our_own_containers_may_do_little(name: str) -> None:
    """No root, no capabilities, nothing to write but volumes and /tmp."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in service, "the image's own user"


def test_each_service_gets_only_the_secrets_that_it_needs() -> None:
    """The superuser and the owner are migrate's, the other roles the workers'.

    Flower acts on the ledger and reads sources; what authors' steps may do is none of its work. Beat comes to Redis
    alone.
    """
    told = {name: {variable for variable in SERVICES[name]["environment"] if is_own_secret(variable)} for name in OURS}
    roles = {"BATCHORD_DATABASE_URL", "BATCHORD_AUTHOR_URL", "BATCHORD_SOURCE_URL"}
    store = {"BATCHORD_S3_ACCESS_KEY_ID", "BATCHORD_S3_SECRET_ACCESS_KEY"}
    assert told == {
        "migrate": {"BATCHORD_ADMIN_URL", "BATCHORD_OWNER_URL", *roles},
        "beat": {"BATCHORD_REDIS_URL"},
        "flower": {"BATCHORD_REDIS_URL", "FLOWER_BASIC_AUTH", "BATCHORD_DATABASE_URL", "BATCHORD_SOURCE_URL"},
        **{name: {"BATCHORD_REDIS_URL", *roles, *store} for name in WORKERS},
    }
    assert [each.endswith(":ro") for each in SERVICES["flower"]["volumes"]] == [True]


def test_every_queue_has_one_worker_and_time_to_stop() -> None:
    """No message waits for ever, and no shard is cut off by a stop that Celery could have waited for."""
    celery = celery_settings()
    queues = [SERVICES[name]["command"][SERVICES[name]["command"].index("-Q") + 1] for name in WORKERS]
    assert sorted(",".join(queues).split(",")) == sorted(celery["queues"])
    for name in WORKERS:
        assert seconds(SERVICES[name]["stop_grace_period"]) > celery["shutdown"] + 10
        assert SERVICES[name]["environment"]["REMAP_SIGTERM"] == "SIGQUIT"
        assert SERVICES[name]["environment"]["OMP_NUM_THREADS"] == "1"


def test_the_override_of_the_page_fits() -> None:
    """Its variables are those of the service, each with `_FILE` in place of the one that it takes back."""
    page = (ROOT / "docs/how-to/compose.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    override = yaml.safe_load(example)
    for name, service in override["services"].items():
        taken_back = {variable for variable, value in service["environment"].items() if value == ""}
        assert taken_back <= SERVICES[name]["environment"].keys()
        files = {variable: value for variable, value in service["environment"].items() if value}
        assert files.keys() == {f"{variable}_FILE" for variable in taken_back}
        assert list(files.values()) == [f"/run/secrets/{secret}" for secret in service["secrets"]]
        assert set(service["secrets"]) == override["secrets"].keys()


def test_the_image_runs_as_a_named_user_from_pinned_packages() -> None:
    """The last stage drops root, and every package but torch comes with the digest that the lock has."""
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    user = re.findall(r"^USER (\w+)$", final, re.MULTILINE)
    assert len(user) == 1
    assert re.search(rf"useradd .*--uid \d+ .* {user[0]}\b", final)
    installs = [line for line in DOCKERFILE.replace("\\\n", "").splitlines() if "pip install" in line]
    unlocked = [line for line in installs if "--require-hashes" not in line]
    assert ["-r requirements/torch.txt" in line or "--no-deps --no-build-isolation ." in line for line in unlocked] == [
        True,
        True,
    ]
    assert "://" not in DOCKERFILE, "package managers know their indexes"
