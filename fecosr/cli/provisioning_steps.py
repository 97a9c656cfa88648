"""What each step of `fecosr provision` does and says; the one place where identities are drawn."""

import secrets
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from fecosr.config.clock import utc_now
from fecosr.config.toml import Section, load, validate
from fecosr.data.settings import DataSettings
from fecosr.errors import ConfigError
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.acceptance import NewConfig, accept
from fecosr.provisioning.approval import approve, expel, revoke_superseded
from fecosr.provisioning.authority import (
    REVOKED_FILE,
    Authority,
    AuthoritySettings,
    found_authority,
    open_authority,
)
from fecosr.provisioning.enrolment import (
    NODE_FILE,
    PENDING,
    REQUEST_FILE,
    begin_enrolment,
    begin_rotation,
)
from fecosr.provisioning.federation_file import FoundingFile, load_federation
from fecosr.provisioning.fingerprints import fingerprint_text, parse_fingerprint
from fecosr.provisioning.folders import appearing_at_once, require_free
from fecosr.provisioning.package import INITIAL_MODEL, make_package, read_package
from fecosr.provisioning.register import party_name
from fecosr.provisioning.request import EnrolmentRequest, read_request
from fecosr.storage.atomic_files import write_bytes


class _NewData(Section):
    data: DataSettings


def write_kits(federation_file: Path, out: Path, storage: Path | None) -> None:
    """Write the kits of the federation described in `federation_file` and say what to do with them."""
    # Only this step makes a model, so only this step waits for torch.
    from fecosr.provisioning.kits import AUTHORITY_FOLDER, provision

    federation = load_federation(federation_file)
    kits = provision(
        federation.plan,
        federation.by_name(),
        out,
        coordinator=federation.coordinator,
        days=federation.certificate_days,
        now=utc_now(),
        entropy=secrets.token_bytes,
        storage=storage,
    )
    typer.echo(
        f"{out / AUTHORITY_FOLDER}: the certificate authority; keep it offline, its key makes new parties"
    )
    typer.echo(f"{kits.coordinator.parent}: start with fecosr-coordinator --config {kits.coordinator.name}")
    for node in kits.nodes.values():
        typer.echo(f"{node.parent}: start with fecosr-market-node --config {node.name}")


def found(founding_file: Path, out: Path) -> None:
    """Found an authority and say what to tell the parties."""
    founding = load(founding_file, FoundingFile)
    require_free(out)
    settings = AuthoritySettings(coordinator=founding.coordinator, certificate_days=founding.certificate_days)
    with appearing_at_once(out) as folder:
        authority = found_authority(folder, settings, founding.plan, utc_now())
    typer.echo(f"{out}: the certificate authority; keep it offline, its key makes new parties")
    typer.echo(f"CA fingerprint: {fingerprint_text(authority.fingerprint())}")
    typer.echo("Read it out to every party; each runs: fecosr provision request PARTY --ca-fingerprint ...")


def make_first_request(party: str, ca_fingerprint: str, out: Path) -> None:
    """Make the keys and the request of a party, and say what to do with the request."""
    authority = parse_fingerprint(ca_fingerprint, "--ca-fingerprint")
    request = begin_enrolment(out, _party(party), authority, utc_now(), secrets.token_bytes)
    _announce(out, request)


def make_next_request(kit: Path, *, new_identity: bool) -> None:
    """Make the next keys of a party, and say what to do with the request."""
    request = begin_rotation(kit, utc_now(), secrets.token_bytes, new_identity=new_identity)
    _announce(kit, request)


def approve_request(request_file: Path, folder: Path, fingerprint: str | None) -> None:
    """Grant a request and say what comes next."""
    request = read_request(request_file)
    confirmed = None if fingerprint is None else parse_fingerprint(fingerprint, "--fingerprint")
    now = utc_now()
    with open_authority(folder, now) as authority:
        before = authority.register.parties.get(request.party)
        register = approve(authority, request, now, confirmed=confirmed)
        authority.store(register, now)
    until = register.parties[request.party].issued[-1].until
    typer.echo(f"{request.party} is enrolled; its certificate is good until {until:%Y-%m-%d}")
    if before is None or before.identity != request.identity.hex():
        typer.echo("The roster changed: package every party again; it counts from the next run on.")
    else:
        typer.echo(f"Next: fecosr provision package {request.party} --authority {folder} --out FILE")


def write_package(party: str, folder: Path, out: Path) -> None:
    """Write a party's package and say what the party has to compare."""
    if out.exists():
        raise ConfigError("is there already", remedy="give a new file", source=str(out))
    name, now = _party(party), utc_now()
    with open_authority(folder, now) as authority:
        model = _initial_model(authority) if name == COORDINATOR else None
        write_bytes(out, make_package(authority, name, now, model))
    typer.echo(f"{out}: send it to {name}, which runs: fecosr provision accept KIT {out.name}")
    typer.echo(f"CA fingerprint: {fingerprint_text(authority.fingerprint())}")
    typer.echo(f"plan hash:      {authority.plan.hash().hex()}")


def take_over(kit: Path, package_file: Path, data_kind: str, data_path: str, storage: Path | None) -> None:
    """Take a package over and say what is left to do."""
    data = validate({"data": {"kind": data_kind, "path": data_path}}, _NewData, source="--data-kind").data
    accepted = accept(kit, read_package(package_file), utc_now(), NewConfig(data, storage))
    typer.echo(f"{kit}: complete; certificate, roster and plan fit this kit's own keys and pinned authority")
    typer.echo(f"plan hash: {accepted.plan.hash().hex()}{' (changed)' if accepted.plan_changed else ''}")
    if accepted.config_written and accepted.config.name == NODE_FILE:
        typer.echo(f"{accepted.config}: new; check data and policy, they are yours alone")
    typer.echo(f"Next: fecosr preflight {kit}")


def revoke_party(party: str, folder: Path, *, superseded: bool) -> None:
    """Revoke and say what makes it count."""
    name, now = _party(party), utc_now()
    with open_authority(folder, now) as authority:
        change = revoke_superseded if superseded else expel
        register = change(authority.register, name, now)
        authority.store(register, now)
    count = len(register.revoked) - len(authority.register.revoked)
    typer.echo(f"{name}: {count} certificate{'' if count == 1 else 's'} revoked")
    typer.echo(
        f"Copy {folder / REVOKED_FILE} over tls/revoked.pem in the coordinator's kit; no restart needed."
    )
    if not superseded:
        typer.echo("The roster of the next run is without it: package the other parties again.")


def _announce(kit: Path, request: EnrolmentRequest) -> None:
    typer.echo(
        f"{kit / PENDING / REQUEST_FILE}: send this file to the federation's owner; it holds no secret"
    )
    typer.echo(f"request fingerprint: {fingerprint_text(request.fingerprint())}")
    typer.echo("The private keys stay in this folder. When the package arrives: fecosr provision accept")


def _party(text: str) -> NodeId:
    try:
        return NodeId(party_name(text))
    except ValueError as error:
        raise ConfigError(str(error), source="PARTY") from None


def _initial_model(authority: Authority) -> bytes:
    """Return the file of the model that every run of this plan starts from."""
    from fecosr.storage.parameters import write_parameters
    from fecosr.training.parameters import initial_shared_vector

    plan = authority.plan
    vector = initial_shared_vector(plan.encoder, plan.semantics, plan.run.seed)
    with TemporaryDirectory() as folder:
        path = Path(folder) / INITIAL_MODEL
        write_parameters(path, vector, {"run": plan.run.name, "round": "0"})
        return path.read_bytes()
