"""A party's side of enrolment: keys are made in its kit and never leave it; what comes back must fit them.

KIT/pending/   request.json  key.pem  identity.key     from the request until the package is accepted
KIT/           identity.key  tls/  plan.toml  roster.toml  package.json  and coordinator.toml or node.toml
"""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from fecosr.config.parties import load_coordinator, load_identity, load_node
from fecosr.crypto.signatures import SEED_BYTES, SigningKey
from fecosr.errors import ConfigError
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.folders import appearing_at_once, require_free, write_private
from fecosr.provisioning.request import EnrolmentRequest, make_request, read_request, write_request
from fecosr.rpc.certificates import fingerprint, key_pem, new_key

PENDING: Final = "pending"
REQUEST_FILE: Final = "request.json"
KEY_FILE: Final = "key.pem"
IDENTITY_FILE: Final = "identity.key"
COORDINATOR_FILE: Final = "coordinator.toml"
NODE_FILE: Final = "node.toml"

Entropy = Callable[[int], bytes]


def begin_enrolment(
    kit: Path, party: NodeId, authority: bytes, now: datetime, entropy: Entropy
) -> EnrolmentRequest:
    """Make the keys of a party that has no kit yet, and the request that goes to the authority.

    Args:
        kit: becomes the party's kit; must not exist, or be empty.
        party: its name.
        authority: SHA-256 of the certificate of the authority, which the kit pins from now on.
        now: an aware time.
        entropy: returns that many bytes nobody can guess.

    Raises:
        ConfigError: `kit` holds something already, or cannot be written.
    """
    require_free(kit)
    identity, tls_key = SigningKey(entropy(SEED_BYTES)), new_key()
    request = make_request(party, authority, now, tls_key=tls_key, identity=identity)
    with appearing_at_once(kit) as folder:
        pending = folder / PENDING
        pending.mkdir(mode=0o700)
        _write_pending(pending, request, tls_key, identity)
    return request


def begin_rotation(
    kit: Path, now: datetime, entropy: Entropy, *, new_identity: bool = False
) -> EnrolmentRequest:
    """Make a new TLS key for a party that has a kit, and on demand a new identity, and the request for them.

    The kit works on as it is until the answer is accepted.

    Raises:
        ConfigError: there is no usable kit, or a request is pending.
    """
    if (kit / PENDING).exists():
        raise ConfigError(
            "a request is pending",
            remedy=f"send it, or delete {kit / PENDING} to make another",
            source=str(kit),
        )
    party, identity_file, ca = _who(kit)
    current = load_identity(identity_file)
    try:
        authority = fingerprint(ca.read_bytes())
    except (OSError, ValueError):
        raise ConfigError("is not a certificate", remedy="restore it from the kit", source=str(ca)) from None
    successor = SigningKey(entropy(SEED_BYTES)) if new_identity else None
    tls_key = new_key()
    request = make_request(
        party,
        authority,
        now,
        tls_key=tls_key,
        identity=successor or current,
        previous=current if successor else None,
    )
    with appearing_at_once(kit / PENDING) as folder:
        _write_pending(folder, request, tls_key, successor)
    return request


def pending_request(kit: Path) -> EnrolmentRequest | None:
    """Return the request that waits for its answer, if there is one."""
    path = kit / PENDING / REQUEST_FILE
    return read_request(path) if path.exists() else None


def forget_pending(kit: Path) -> None:
    """Delete what waited for an answer that has now been taken over in full."""
    shutil.rmtree(kit / PENDING, ignore_errors=True)


def party_of(kit: Path) -> NodeId:
    """Return whose kit it is, from its configuration or else from its pending request.

    Raises:
        ConfigError: nothing says so.
    """
    pending = pending_request(kit)
    return pending.party if pending else _who(kit)[0]


def _who(kit: Path) -> tuple[NodeId, Path, Path]:
    """Return the party, its identity and its authority's certificate, as its configuration names them."""
    if (kit / COORDINATOR_FILE).exists():
        coordinator = load_coordinator(kit / COORDINATOR_FILE)
        return COORDINATOR, coordinator.identity, coordinator.tls.ca
    if (kit / NODE_FILE).exists():
        node = load_node(kit / NODE_FILE)
        return NodeId(node.market), node.identity, node.tls.ca
    raise ConfigError(
        f"holds neither {COORDINATOR_FILE} nor {NODE_FILE}",
        remedy="name the folder of a kit",
        source=str(kit),
    )


def _write_pending(
    folder: Path, request: EnrolmentRequest, tls_key: ec.EllipticCurvePrivateKey, identity: SigningKey | None
) -> None:
    write_private(folder / KEY_FILE, key_pem(tls_key))
    if identity is not None:
        write_private(folder / IDENTITY_FILE, identity.seed)
    write_request(folder / REQUEST_FILE, request)
