"""Dockerfiles and the compose file, checked for what a build would not tell or would tell late."""

import os
import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from fecosr.config.parties import load_coordinator
from fecosr.provisioning.federation_file import load_federation

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "scripts" / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MARKETS = ["north", "south", "east", "west", "isle"]
BINARIES = {"coordinator": "fecosr-coordinator", "market_node": "fecosr-market-node"}


def instructions(folder: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile, with continued lines joined."""
    text = (ROOT / folder / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in lines]


def last_stage(folder: str) -> list[tuple[str, str]]:
    found = instructions(folder)
    start = max(place for place, (name, _) in enumerate(found) if name == "FROM")
    return found[start:]


@pytest.mark.parametrize("folder", BINARIES)
def test_what_runs_is_not_root_and_holds_no_compiler_and_no_sources(folder: str) -> None:
    stage = last_stage(folder)
    assert sum(name == "FROM" for name, _ in instructions(folder)) == 2
    assert [value for name, value in stage if name == "USER"] == ["10001:10001"]
    assert not any("pip install" in value or "apt" in value for _, value in stage)
    copies = [value for name, value in stage if name == "COPY"]
    assert copies == ["--from=build /opt/fecosr /opt/fecosr"]
    assert [value for name, value in stage if name == "STOPSIGNAL"] == ["SIGTERM"]
    # The form without a shell, so that the process itself gets the signal.
    assert f'["{BINARIES[folder]}"]' in [value for name, value in stage if name == "ENTRYPOINT"]


@pytest.mark.parametrize("folder", BINARIES)
def test_what_is_copied_exists_and_reaches_the_build(folder: str) -> None:
    wanted = set((ROOT / folder / "Dockerfile.dockerignore").read_text().splitlines())
    copied = [
        source
        for name, value in instructions(folder)
        if name == "COPY" and not value.startswith("--from")
        for source in value.split()[:-1]
    ]
    assert {"fecosr", "coordinator", "market_node", "constraints.txt"} <= set(copied)
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in wanted, source
    assert "*" in wanted


@pytest.mark.parametrize("folder", BINARIES)
def test_bases_are_pinned_and_nothing_is_fetched_past_the_package_manager(folder: str) -> None:
    found = instructions(folder)
    base = next(value for name, value in found if name == "ARG").split("=", 1)[1]
    assert re.fullmatch(r"python:3\.1[123]-slim", base)
    assert all(value.startswith("${PYTHON_IMAGE}") for name, value in found if name == "FROM")
    assert not any(name == "ADD" or "curl" in value or "wget" in value for name, value in found)
    assert any("--constraint constraints.txt" in value for name, value in found if name == "RUN")


def test_the_coordinators_image_has_no_torch() -> None:
    installed = [value for name, value in instructions("coordinator") if "pip install" in value]
    assert [value.split()[-1] for value in installed] == ["'.[otel,postgres,web]'"]
    installed = [value for name, value in instructions("market_node") if "pip install" in value]
    assert [value.split()[-1] for value in installed] == ["'.[node,otel,web]'"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = (project["optional-dependencies"][name] for name in ("otel", "postgres", "web"))
    asked_for = [*project["dependencies"], *chain.from_iterable(extras)]
    assert not any(re.match("torch|polars|opacus", requirement) for requirement in asked_for)


def test_the_demo_is_a_federation_of_five() -> None:
    federation = load_federation(DEPLOY / "federation.toml")
    assert [market.name for market in federation.markets] == MARKETS
    assert federation.coordinator.address == "coordinator:7443"
    assert set(COMPOSE["services"]) == {"provision", "coordinator", *MARKETS}


def test_everything_that_is_referred_to_is_there() -> None:
    services, volumes = COMPOSE["services"], COMPOSE["volumes"]
    for name, service in services.items():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source in volumes or (DEPLOY / source).exists(), f"{name}: {volume}"
        assert set(service.get("depends_on", {})) <= set(services)
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        build = service.get("build")
        if build:
            assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()
    built = {service["image"] for service in services.values() if "build" in service}
    assert {service["image"] for service in services.values()} == built


def test_every_party_has_its_own_configuration_and_its_own_state() -> None:
    for name in ("coordinator", *MARKETS):
        service = COMPOSE["services"][name]
        file = "coordinator.toml" if name == "coordinator" else "node.toml"
        assert service["command"] == ["--config", f"/kits/demo/{name}/{file}"]
        assert service["volumes"] == ["kits:/kits:ro", f"{name}:/var/lib/fecosr"]
        assert service["restart"] == "on-failure"


def test_containers_are_hardened_and_only_this_machine_sees_only_the_dashboard() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service.get("ports", []) == (["127.0.0.1:9443:9443"] if name == "coordinator" else [])
        assert "pages" not in service["networks"] or name == "coordinator"
        assert "privileged" not in service
    assert COMPOSE["networks"]["federation"] == {"internal": True}


def test_the_kit_of_the_demo_shows_its_dashboard(tmp_path: Path) -> None:
    """What the provisioning container does to the coordinator's configuration has to be what it reads."""
    (script,) = COMPOSE["services"]["provision"]["command"]
    kit = tmp_path / "demo" / "coordinator"
    provision = tmp_path / "fecosr"
    provision.write_text(f"#!/bin/sh\nmkdir -p {kit}\necho 'listen = \"c:7443\"' > {kit}/coordinator.toml\n")
    provision.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    # Compose reads $$ as $; the second time there is nothing to do.
    here = script.replace("/kits/demo", str(tmp_path / "demo")).replace("$$", "$")
    for _ in range(2):
        subprocess.run(["sh", "-ec", here], check=True, env=environment)
    web = load_coordinator(kit / "coordinator.toml").web
    assert web is not None
    assert web.listen == "0.0.0.0:9443"
    assert str(web.token) == "/var/lib/fecosr/web.token"
