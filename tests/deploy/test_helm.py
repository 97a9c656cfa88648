"""The chart: its values against its schema, and what it becomes, as far as that can be known without Helm."""

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from fecosr import __version__
from tests.reference.go_templates import Templates

ROOT = Path(__file__).parents[2]
CHART = ROOT / "scripts" / "deploy" / "helm" / "fecosr"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
CONFIG = {
    "coordinator": "/kit/unpacked/coordinator.toml",
    "market-node": "/kit/unpacked/node.toml",
}

Rendered = dict[str, dict[str, Any]]
Render = Callable[..., Rendered]


def with_values(**changes: Any) -> dict[str, Any]:
    """Return the default values with single ones changed; `a__b` stands for a.b."""
    values = copy.deepcopy(VALUES)
    values["kit"]["secret"] = "kit"
    for name, value in changes.items():
        section = values
        *path, last = name.split("__")
        for part in path:
            section = section[part]
        section[last] = value
    return values


@pytest.fixture
def render() -> Render:
    """Return every object of the chart, by kind."""

    def rendered(**changes: Any) -> Rendered:
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        context = {
            "Values": with_values(**changes),
            "Release": {"Name": "fr"},
            "Chart": {"AppVersion": chart["appVersion"]},
        }
        templates = Templates((CHART / "templates" / "_names.tpl").read_text(), context)
        files = sorted((CHART / "templates").glob("*.yaml"))
        objects = [yaml.safe_load(templates.render(path.read_text())) for path in files]
        assert "kubectl" in templates.render((CHART / "templates" / "NOTES.txt").read_text())
        return {found["kind"]: found for found in objects if found}

    return rendered


def test_the_default_values_lack_nothing_but_the_kit() -> None:
    jsonschema.validate(with_values(), SCHEMA)
    with pytest.raises(jsonschema.ValidationError, match="does not match"):
        jsonschema.validate(VALUES, SCHEMA)


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "server"},
        {"image__tag": "latest"},
        {"kit__secret": "Kit"},
        {"storage__size": "much"},
        {"service__port": 0},
        {"service__type": "ExternalName"},
        {"networkPolicy__enabled": "yes"},
        {"replicas": 3},
        {"data__path": "/data"},
    ],
)
def test_values_that_cannot_work_are_refused_before_anything_is_installed(changes: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(with_values(**changes), SCHEMA)


def test_every_value_has_its_place_in_the_schema() -> None:
    def compare(values: dict[str, Any], schema: dict[str, Any], path: str) -> None:
        for name, value in values.items():
            assert name in schema["properties"], f"{path}{name}"
            if isinstance(value, dict) and "properties" in schema["properties"][name]:
                compare(value, schema["properties"][name], f"{path}{name}.")

    jsonschema.Draft7Validator.check_schema(SCHEMA)
    compare(VALUES, SCHEMA, "")


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == chart["version"] == __version__


@pytest.mark.parametrize("role", ["coordinator", "market-node"])
def test_one_party_is_one_pod_that_may_do_nothing_but_its_work(render: Render, role: str) -> None:
    spec = render(role=role)["StatefulSet"]["spec"]
    pod = spec["template"]["spec"]
    assert spec["replicas"] == 1
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["image"] == f"fecosr-{role}:{__version__}"
    assert pod["containers"][0]["args"][:2] == ["--config", CONFIG[role]]
    assert pod["containers"][0]["resources"] == VALUES["resources"]


@pytest.mark.parametrize("claims", [{}, {"kit__initialModelClaim": "model", "data__claim": "orders"}])
def test_every_mount_has_its_volume(render: Render, claims: dict[str, str]) -> None:
    spec = render(**claims)["StatefulSet"]["spec"]
    pod = spec["template"]["spec"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]}
    mounted = {
        mount["name"]
        for container in (*pod["initContainers"], *pod["containers"])
        for mount in container["volumeMounts"]
    }
    assert mounted == volumes


def test_a_coordinator_is_dialled_and_a_node_is_not(render: Render) -> None:
    coordinator, node = render(role="coordinator"), render(role="market-node")
    assert coordinator["Service"]["spec"]["ports"] == [{"name": "grpc", "port": 7443, "targetPort": "grpc"}]
    assert coordinator["NetworkPolicy"]["spec"]["ingress"] == [{"ports": [{"port": 7443}]}]
    assert node["Service"]["spec"]["clusterIP"] == "None"
    assert (node["NetworkPolicy"]["spec"]["policyTypes"], node["NetworkPolicy"]["spec"]["ingress"]) == (
        ["Ingress"],
        [],
    )
    assert "NetworkPolicy" not in render(networkPolicy__enabled=False)


def test_what_is_given_arrives(render: Render) -> None:
    found = render(
        image__repository="registry.example.org/node",
        image__tag="1.2",
        storage__className="fast",
        nodeSelector={"zone": "a"},
        tolerations=[{"key": "gpu", "operator": "Exists"}],
        service__annotations={"x": "y"},
    )
    pod = found["StatefulSet"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "registry.example.org/node:1.2"
    assert (pod["nodeSelector"], pod["tolerations"][0]["key"]) == ({"zone": "a"}, "gpu")
    claim = found["StatefulSet"]["spec"]["volumeClaimTemplates"][0]["spec"]
    assert (claim["storageClassName"], claim["resources"]["requests"]["storage"]) == ("fast", "10Gi")
    assert found["Service"]["metadata"]["annotations"] == {"x": "y"}


def test_the_unpacked_kit_is_its_owners_alone(render: Render, tmp_path: Path) -> None:
    script = render()["StatefulSet"]["spec"]["template"]["spec"]["initContainers"][0]["args"][0]
    (tmp_path / "secret").mkdir()
    for name in ("node.toml", "identity.key", "tls-ca.pem", "tls-key.pem"):
        (tmp_path / "secret" / name).write_text(name)
        (tmp_path / "secret" / name).chmod(0o644)
    here = script.replace("/secret/", f"{tmp_path}/secret/").replace("/kit", f"{tmp_path}/kit")
    subprocess.run(["sh", "-ec", here.replace("/model/", f"{tmp_path}/model/")], check=True)
    kit = tmp_path / "kit" / "unpacked"
    files = {str(path.relative_to(kit)): path for path in kit.rglob("*.*")}
    assert sorted(files) == ["identity.key", "node.toml", "tls/ca.pem", "tls/key.pem"]
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (kit, kit / "tls")} == {0o700}
