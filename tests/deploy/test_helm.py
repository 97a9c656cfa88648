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
from fecosr.web.application import HEALTH
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
    """Return every object of the chart, by kind; the second service is Service-web."""

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
        return {
            found["metadata"]["name"].replace("fr", found["kind"], 1): found for found in objects if found
        }

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
        {"web__port": 443},
        {"web__port": 7443},
        {"web__scheme": "https"},
        {"web__from": []},
        {"web__from": [{}]},
        {"standby": True},
        {"env": [{"value": "nameless"}]},
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


def test_without_web_nobody_looks(render: Render) -> None:
    for role in CONFIG:
        found = render(role=role)
        assert "Service-web" not in found
        (container,) = found["StatefulSet"]["spec"]["template"]["spec"]["containers"]
        assert "web" not in [port["name"] for port in container.get("ports", [])]
    assert render(role="coordinator")["StatefulSet"]["spec"]["template"]["spec"]["containers"][0][
        "readinessProbe"
    ]["tcpSocket"] == {"port": "grpc"}


@pytest.mark.parametrize("role", CONFIG)
def test_with_web_the_pages_have_a_service_a_probe_and_few_visitors(render: Render, role: str) -> None:
    monitoring = {"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}
    found = render(role=role, web__enabled=True, web__port=9500, web__from=[monitoring])
    service = found["Service-web"]["spec"]
    assert (service["type"], service["ports"]) == (
        "ClusterIP",
        [{"name": "web", "port": 9500, "targetPort": "web"}],
    )
    assert service["selector"] == found["StatefulSet"]["spec"]["selector"]["matchLabels"]
    (container,) = found["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "web", "containerPort": 9500} in container["ports"]
    assert container["readinessProbe"]["httpGet"] == {"path": HEALTH, "port": "web", "scheme": "HTTPS"}
    assert "livenessProbe" not in container, "a standby and a node that loads its data are alive"
    rules = found["NetworkPolicy"]["spec"]["ingress"]
    assert rules[-1] == {"ports": [{"port": 9500}], "from": [monitoring]}
    assert len(rules) == (2 if role == "coordinator" else 1)
    assert all("web" not in str(port["name"]) for port in found["Service"]["spec"].get("ports", []))


def test_a_standby_is_a_second_pod_that_no_update_waits_for(render: Render) -> None:
    rule = {"ports": [{"port": 5432}]}
    values = {"role": "coordinator", "standby": True, "networkPolicy__egress": [rule]}
    jsonschema.validate(with_values(**values), SCHEMA)
    found = render(**values)
    spec = found["StatefulSet"]["spec"]
    assert (spec["replicas"], spec["podManagementPolicy"]) == (2, "Parallel")
    assert spec["updateStrategy"] == {"type": "OnDelete"}
    assert found["NetworkPolicy"]["spec"]["egress"] == [rule]
    assert render(role="coordinator")["NetworkPolicy"]["spec"]["egress"] == []


def test_variables_are_added_to_ours(render: Render) -> None:
    ours = {"name": "OMP_NUM_THREADS", "value": "1"}
    theirs = {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4318"}
    for env in ([], [theirs]):
        (container,) = render(env=env)["StatefulSet"]["spec"]["template"]["spec"]["containers"]
        assert container["env"] == [ours, *env]
