"""Write one folder per party; either all of them appear, complete, or none does."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from fecosr.config.parties import CoordinatorConfig, NodeConfig, TlsSection
from fecosr.config.plan import Plan
from fecosr.crypto.signatures import SEED_BYTES, SigningKey
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.authority import Authority, AuthoritySettings, found_authority
from fecosr.provisioning.enrolment import COORDINATOR_FILE, IDENTITY_FILE, NODE_FILE, Entropy
from fecosr.provisioning.federation_file import CoordinatorSection, MarketSection
from fecosr.provisioning.folders import appearing_at_once, require_free, write_private
from fecosr.provisioning.register import Enrolment, issued
from fecosr.provisioning.toml_text import toml_text
from fecosr.rpc.certificates import Credential, issue_coordinator, issue_node
from fecosr.storage.parameters import write_parameters
from fecosr.training.parameters import initial_shared_vector

AUTHORITY_FOLDER: Final = "_ca"
"""No market can have this name: names hold no underscore ("ca" could be Canada)."""


@dataclass(frozen=True, slots=True)
class Kits:
    """Say where the configuration files of the parties are."""

    coordinator: Path
    nodes: Mapping[NodeId, Path]


def provision(
    plan: Plan,
    markets: Mapping[NodeId, MarketSection],
    out: Path,
    *,
    coordinator: CoordinatorSection,
    days: int,
    now: datetime,
    entropy: Entropy,
    storage: Path | None = None,
) -> Kits:
    """Write the startup kits of a federation under `out`.

    Args:
        plan: the same for everybody.
        markets: who may ever take part.
        out: must not exist, or be an empty folder.
        coordinator: where it is.
        days: how long the certificates are valid, from `now` on.
        now: an aware date and time.
        entropy: returns that many bytes nobody can guess; the source of the identities.
        storage: every party keeps its state in a folder of its name under this one; without it, in its kit.

    Returns:
        Where each party's configuration file is.

    Raises:
        ConfigError: `out` holds something already, or cannot be written.

    Guarantees:
        Private keys are readable by their owner only. A kit holds the private keys of its own party and
        no other's; the authority's key is in none of them. Nothing is overwritten or ever half there.
    """
    require_free(out)
    party_names = [COORDINATOR, *markets]
    identities = {name: SigningKey(entropy(SEED_BYTES)) for name in party_names}
    state = {name: storage / name if storage else Path("state") for name in party_names}
    with appearing_at_once(out) as folder:
        common = {
            "plan.toml": toml_text(plan.model_dump(mode="json", exclude_none=True)),
            "roster.toml": _roster(identities),
        }
        (folder / AUTHORITY_FOLDER).mkdir(mode=0o700)
        settings = AuthoritySettings(coordinator=coordinator, certificate_days=days)
        authority = found_authority(folder / AUTHORITY_FOLDER, settings, plan, now)
        hosts = [coordinator.address.rpartition(":")[0]]
        leaves = {COORDINATOR: issue_coordinator(authority.credential, hosts, now, days)}
        leaves |= {name: issue_node(authority.credential, name, now, days) for name in markets}
        authority = _enrol(authority, identities, leaves, now)
        config = CoordinatorConfig(listen=coordinator.interface(), storage=state[COORDINATOR])
        kit = folder / COORDINATOR
        _write_kit(kit, {COORDINATOR_FILE: _text(config), **common}, identities[COORDINATOR])
        _write_tls(kit, authority, leaves[COORDINATOR], now)
        initial = initial_shared_vector(plan.encoder, plan.semantics, plan.run.seed)
        write_parameters(kit / config.initial_model, initial, {"run": plan.run.name, "round": "0"})
        for name, market in markets.items():
            kit = folder / name
            node = _node_config(name, market, plan, coordinator.address, state[name])
            _write_kit(kit, {NODE_FILE: _text(node), **common}, identities[name])
            _write_tls(kit, authority, leaves[name], now)
    return Kits(out / COORDINATOR / COORDINATOR_FILE, {name: out / name / NODE_FILE for name in markets})


def _node_config(name: NodeId, market: MarketSection, plan: Plan, address: str, storage: Path) -> NodeConfig:
    return NodeConfig(
        market=name,
        coordinator=address,
        data=market.data,
        policy=market.policy_under(plan),
        report=market.report,
        num_threads=market.num_threads,
        num_shards=market.num_shards,
        device=market.device,
        embedding_path=market.embedding_path,
        storage=storage,
    )


def _roster(identities: Mapping[NodeId, SigningKey]) -> str:
    public = {name: identity.public.hex() for name, identity in identities.items()}
    return toml_text({COORDINATOR: public.pop(COORDINATOR), "nodes": public})


def _text(config: CoordinatorConfig | NodeConfig) -> str:
    return toml_text(config.model_dump(mode="json", exclude_none=True))


def _write_kit(folder: Path, texts: Mapping[str, str], identity: SigningKey) -> None:
    """Write what kits of both kinds hold; `identity` is the only private key among it."""
    folder.mkdir(mode=0o700)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    write_private(folder / IDENTITY_FILE, identity.seed)


def _write_tls(folder: Path, authority: Authority, leaf: Credential, now: datetime) -> None:
    tls = TlsSection().under(folder)
    tls.ca.parent.mkdir(mode=0o700)
    tls.ca.write_bytes(authority.credential.certificate)
    tls.revoked.write_bytes(authority.revocations(now))
    leaf.write(tls.certificate, tls.key)


def _enrol(
    authority: Authority,
    identities: Mapping[NodeId, SigningKey],
    leaves: Mapping[NodeId, Credential],
    now: datetime,
) -> Authority:
    """Put all parties into the register, so that each can later ask for a new certificate by itself."""
    register = authority.register
    for name, identity in identities.items():
        certificate = leaves[name].certificate
        enrolment = Enrolment(
            identity=identity.public.hex(),
            certificate=certificate.decode("ascii"),
            issued=(issued(certificate),),
            requested=now,
        )
        register = register.enrolled(name, enrolment)
    return authority.store(register, now)
