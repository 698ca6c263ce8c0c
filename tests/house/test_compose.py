"""compose.yaml: the versions the suites run on, nothing unpinned, no password in it, and settings that a node takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import chdb
import pytest
import yaml
from servers.catalogue import catalogue

from carbon254.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if "profiles" in service}
# Which server of the catalogue a service is; the others have its name.
SAME = {"desk": "catalog"}
REQUIRED = re.compile(r"\$\{([A-Z_]+):\?[^}]+\}")
SECRET = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|_AUTH$|ROOT_USER")


def tag(image: str) -> str:
    return image.rpartition(":")[2]


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - OURS))
def test_a_server_has_the_version_that_was_tested(name: str) -> None:
    entry, version = catalogue()[SAME.get(name, name)], tag(SERVICES[name]["image"])
    if name == "clickhouse":
        # No server can be had for the suites; the embedded engine of the same release can.
        assert version.split(".")[:2] == chdb.engine_version.split(".")[:2]
    elif entry.kind == "debian":
        assert version.split(".")[0] == entry.version and version.count(".") >= 1
    else:
        assert version == entry.version
        built = SERVICES[name].get("build", {}).get("dockerfile_inline", f"{entry.module}@{version}")
        assert f"{entry.module}@{entry.version}" in built


def test_every_server_of_the_catalogue_is_there() -> None:
    # A stand-in, a reader, and a pool: none of them is needed to begin.
    beside = {"front", "spark", "pgbouncer"}
    assert {SAME.get(name, name) for name in SERVICES} - OURS == catalogue().keys() - beside
    assert {"normalise", "enrich", "aggregate", "project"} <= OURS


def test_images_are_pinned_exactly() -> None:
    named = [service["image"] for service in SERVICES.values()]
    for service in SERVICES.values():
        recipe = service.get("build", {}).get("dockerfile_inline", "")
        named += re.findall(r"^FROM (\S+)", recipe, re.MULTILINE)
        assert not re.search(r"@latest|:latest", recipe)
    for image in named:
        # Trino counts its releases; all others have at least two numbers.
        exact = r"\d{3}" if image.startswith("trinodb/") else r"v?\d+\.\d+.*"
        assert re.fullmatch(exact, tag(image)), f"{image} is not pinned"


def test_passwords_come_from_the_environment_and_have_no_default() -> None:
    text = (ROOT / "compose.yaml").read_text("utf-8")
    assert not re.search(r"\$\{\w+:?[-+]", text), "a default would be somebody's password"
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if SECRET.search(key):
                assert REQUIRED.fullmatch(value), f"{name}: {key} is written down"
            if "@" in str(value) and "://" in str(value) and not key.startswith("KAFKA"):
                assert REQUIRED.search(value.split("@")[0]), f"{name}: {key} has a password in it"
    for config in COMPOSE["configs"].values():
        for line in config["content"].splitlines():
            key, _, value = line.partition("=")
            if re.search(r"password|secret|access-key", key):
                assert re.fullmatch(r"\$\$\{ENV:[A-Z_]+\}", value)


def test_nothing_listens_beyond_this_machine_and_everything_says_how_it_is() -> None:
    for name, service in SERVICES.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert "healthcheck" in service or name == "bootstrap"
        assert {volume.split(":")[0] for volume in service.get("volumes", ())} <= COMPOSE["volumes"].keys()
        assert service.get("depends_on", {}).keys() <= SERVICES.keys()


def test_the_services_settings_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    written = {key: REQUIRED.sub("x", value) for key, value in SERVICES["project"]["environment"].items()}
    for key, value in written.items():
        monkeypatch.setenv(key, value)
        assert key.startswith("AWS_") or key.removeprefix("C254_").lower() in Settings.model_fields, key
    assert Settings().kafka_bootstrap == "kafka://127.0.0.1:9092"
    told = (ROOT / "docs" / "guides" / "engines.md").read_text("utf-8")
    assert not [key for key in written if key not in told and key != "C254_WORKSPACE"]
