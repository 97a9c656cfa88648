"""`fecosr provision`: kits by one hand, or keys that stay where they are made; renewal and revocation."""

from pathlib import Path
from typing import Annotated, Final

import typer

from fecosr.cli.groups import GroupWithDefault

KITS: Final = "kits"

AuthorityFolder = Annotated[
    Path, typer.Option("--authority", help="The authority's folder, as `provision` or `authority` made it.")
]
Storage = Annotated[
    Path | None,
    typer.Option(
        "--storage", help="State goes into a folder of the party's name under this one [in its kit]."
    ),
]


class KitsUnlessNamed(GroupWithDefault):
    """Take what does not begin with the name of a step as arguments of `kits`."""

    default = KITS


app = typer.Typer(
    cls=KitsUnlessNamed,
    no_args_is_help=True,
    help="Write the startup kits: certificates, identities and configuration.\n\n"
    "By one hand: fecosr provision FEDERATION.toml --out kits\n\n"
    "With private keys that never leave their market: the owner of the federation founds an authority, each "
    "party makes a request, the owner approves it and packages what the party then accepts.\n\n"
    "Examples: fecosr provision federation.toml --out kits; "
    "fecosr provision authority founding.toml --out ca",
)


@app.command(KITS)
def kits(
    federation: Annotated[Path, typer.Argument(metavar="FEDERATION.toml", help="Plan, markets, address.")],
    out: Annotated[Path, typer.Option("--out", help="New folder for the kits.")],
    storage: Storage = None,
) -> None:
    """Write the kits of all parties with one hand, one folder for each party; `kits` itself may be left out.

    Keep OUT/_ca to yourself, hand each of the other folders to its party and to nobody else.

    Examples: fecosr provision federation.toml --out kits;
    fecosr provision kits federation.toml --out kits --storage /var/lib/fecosr
    """
    from fecosr.cli.provisioning_steps import write_kits

    write_kits(federation, out, storage)


@app.command()
def authority(
    founding: Annotated[
        Path,
        typer.Argument(metavar="FOUNDING.toml", help="Plan and address; no markets: they ask themselves."),
    ],
    out: Annotated[Path, typer.Option("--out", help="New folder for the authority; keep it offline.")],
) -> None:
    """Found the authority of a federation whose parties make their keys themselves.

    Prints the fingerprint of its certificate, which every party pins with its request.

    Example: fecosr provision authority founding.toml --out ca
    """
    from fecosr.cli.provisioning_steps import found

    found(founding, out)


@app.command()
def request(
    party: Annotated[str, typer.Argument(metavar="PARTY", help="The market's name, or `coordinator`.")],
    ca_fingerprint: Annotated[
        str,
        typer.Option("--ca-fingerprint", help="Of the authority, as its owner reads it out on the phone."),
    ],
    out: Annotated[Path, typer.Option("--out", help="New folder; becomes this party's kit.")],
) -> None:
    """Make this party's TLS key and identity on this machine, and the request that goes to the owner.

    The request holds no secret. Read its fingerprint out to the owner; nobody else can confirm it is yours.

    Example: fecosr provision request fr --ca-fingerprint 5D:11:... --out fr
    """
    from fecosr.cli.provisioning_steps import make_first_request

    make_first_request(party, ca_fingerprint, out)


@app.command()
def rotate(
    kit: Annotated[Path, typer.Argument(metavar="KIT", help="This party's kit.")],
    new_identity: Annotated[
        bool,
        typer.Option(
            "--new-identity", help="Replace the Ed25519 identity too; it counts from the next run on."
        ),
    ] = False,
) -> None:
    """Make a new TLS key, and the request for its certificate, signed by the identity that is enrolled.

    The kit works on as it is. Afterwards as for a first request: approve, package, accept; no phone call.

    Examples: fecosr provision rotate kits/fr; fecosr provision rotate kits/fr --new-identity
    """
    from fecosr.cli.provisioning_steps import make_next_request

    make_next_request(kit, new_identity=new_identity)


@app.command()
def approve(
    request_file: Annotated[Path, typer.Argument(metavar="REQUEST.json", help="What the party sent.")],
    authority_folder: AuthorityFolder,
    fingerprint: Annotated[
        str | None,
        typer.Option("--fingerprint", help="Of a first request, as the party reads it out on the phone."),
    ] = None,
) -> None:
    """Verify a request, certify its TLS key, and pin its identity in the roster.

    Example: fecosr provision approve fr.json --authority ca --fingerprint 0A:9C:...
    """
    from fecosr.cli.provisioning_steps import approve_request

    approve_request(request_file, authority_folder, fingerprint)


@app.command()
def package(
    party: Annotated[str, typer.Argument(metavar="PARTY", help="The market's name, or `coordinator`.")],
    authority_folder: AuthorityFolder,
    out: Annotated[Path, typer.Option("--out", help="New file, to be sent to the party.")],
) -> None:
    """Write what completes a party's kit: certificate, roster, plan and revocations, signed; no private key.

    Make the packages when all parties are enrolled, because each pins everybody.

    Example: fecosr provision package fr --authority ca --out fr.fecosr-kit
    """
    from fecosr.cli.provisioning_steps import write_package

    write_package(party, authority_folder, out)


@app.command()
def accept(
    kit: Annotated[Path, typer.Argument(metavar="KIT", help="The folder the request made, or an older kit.")],
    package_file: Annotated[Path, typer.Argument(metavar="PACKAGE", help="What the owner sent.")],
    data_path: Annotated[
        str, typer.Option("--data-path", help="Interactions, for a new node.toml; relative to KIT.")
    ] = "interactions.csv",
    data_kind: Annotated[
        str, typer.Option("--data-kind", help="Their format: csv, parquet, recbole, xmarket or sequences.")
    ] = "csv",
    storage: Storage = None,
) -> None:
    """Check that a package answers this kit's own keys and is from the pinned authority, then take it over.

    A node.toml or coordinator.toml that is there already stays as it is. Run the same command again if it was
    interrupted; restart the process afterwards.

    Example: fecosr provision accept fr fr.fecosr-kit --data-path /data/fr.csv
    """
    from fecosr.cli.provisioning_steps import take_over

    take_over(kit, package_file, data_kind, data_path, storage)


@app.command()
def revoke(
    party: Annotated[str, typer.Argument(metavar="PARTY", help="The market's name, or `coordinator`.")],
    authority_folder: AuthorityFolder,
    superseded: Annotated[
        bool,
        typer.Option("--superseded", help="Only the certificates that a rotation has replaced."),
    ] = False,
) -> None:
    """Revoke a party for good, or only its older certificates, and write the signed revocation list.

    Copy it over the coordinator's tls/revoked.pem: it counts from the next call on, without a restart.

    Examples: fecosr provision revoke fr --authority ca;
    fecosr provision revoke fr --authority ca --superseded
    """
    from fecosr.cli.provisioning_steps import revoke_party

    revoke_party(party, authority_folder, superseded=superseded)
