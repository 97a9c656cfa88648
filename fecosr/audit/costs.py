"""What a private run cost each market's users, recomputed from events; its budget; the markets' own accounts.

A market's own account says in which attempts a masked vector of it may have left. The ledger says in which it
certainly did: those it survived. What stands in either counts. Without the account, every attempt counts in
whose cohort the market was, because afterwards a vector of it may have left.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from fecosr.audit.attempt import Terms
from fecosr.audit.findings import Finding, missing
from fecosr.errors import BudgetExhausted, MisuseError, StorageError
from fecosr.federation.recorded import event_from
from fecosr.federation.spending import charge_name
from fecosr.federation.user_privacy import UserPrivacy
from fecosr.ids import NodeId
from fecosr.ledger.log import Entry
from fecosr.ledger.records import (
    CohortFixed,
    ManifestFields,
    NoiseFields,
    RoundOpened,
    RoundReleased,
    SurvivorsFixed,
)
from fecosr.privacy.accounting import (
    Accountant,
    EventCounts,
    epsilons,
    larger_epsilon,
    without_amplification,
)
from fecosr.privacy.budget import Spending
from fecosr.privacy.events import Event, NonPrivate
from fecosr.privacy.integer_mechanism import IntegerMechanism
from fecosr.storage.spending_store import SPENDING_FILE, read_spending
from fecosr.training.accounting import ACCOUNTANTS


@dataclass(frozen=True, slots=True)
class Cost:
    """Hold what one market's users were charged, at the delta of the plan.

    Attributes:
        epsilon: the larger of what the accountants found.
        accountants: what each found.
        without_amplification: epsilon for whoever knows which users were sampled.
        sums: how many sums it is for.
        bookings: these sums, in the order of the ledger.
    """

    epsilon: float
    accountants: Mapping[str, float]
    without_amplification: float
    sums: int
    bookings: "tuple[Booking, ...]" = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Costs:
    """Hold what recomputing the costs came to, market by market."""

    by_market: Mapping[NodeId, Cost]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Booking:
    """Name one event of one market and the record that tells of it."""

    record: int
    event: Event


def check_costs(entries: Sequence[Entry], terms: Terms, accounts: Mapping[NodeId, bytes | None]) -> Costs:
    """Recompute what a private run cost; in mode "none" there is nothing to compute.

    Args:
        entries: the verified records.
        terms: what they are judged by.
        accounts: each market's own account; None where it is not there.
    """
    privacy = terms.plan.privacy
    if privacy is None:
        return Costs({}, ())
    findings = list(_check_events(entries, privacy))
    costs: dict[NodeId, Cost] = {}
    known: dict[frozenset[tuple[Event, int]], Cost] = {}
    for market in terms.roster.nodes:
        account = _account(market, accounts.get(market))
        if isinstance(account, Finding):
            findings.append(account)
        elif account is None and _is_in_a_sum(market, entries):
            message = f"{market}/{SPENDING_FILE}, what {market} charged its users, is not there."
            findings.append(missing("privacy_account", message))
        spending = account if isinstance(account, Spending) else None
        bookings = list(_bookings(market, entries, privacy, spending))
        findings.extend(_uncharged(market, entries, spending))
        try:
            counts = Counter(booking.event for booking in bookings)
            key = frozenset(counts.items())
            known[key] = known.get(key) or _cost(counts, privacy.delta, ACCOUNTANTS)
            costs[market] = replace(known[key], bookings=tuple(bookings))
        except BudgetExhausted as error:
            findings.append(Finding(None, "accountants", f"{market}: {error}."))
            continue
        if not costs[market].epsilon <= privacy.epsilon:
            findings.append(_overspent(market, bookings, privacy, ACCOUNTANTS))
    return Costs(costs, tuple(findings))


def _check_events(entries: Sequence[Entry], privacy: UserPrivacy) -> Iterator[Finding]:
    """Check that every release states the event that its manifest makes of it."""
    manifests = _manifests(entries)
    for entry in entries:
        match entry.body:
            case RoundReleased() as released:
                due = _event(manifests.get((released.round, released.attempt)), privacy)
                try:
                    stated = event_from(released.privacy_event)
                except MisuseError:
                    stated = None
                if stated != due:
                    message = f"Round {released.round} states another privacy event than its manifest."
                    yield Finding(entry.seq, "privacy_event", message)


def _account(market: NodeId, data: bytes | None) -> Spending | Finding | None:
    if data is None:
        return None
    *lines, rest = data.split(b"\n")
    if rest:
        return Finding(None, "privacy_account", f"The last line of {market}/{SPENDING_FILE} is not complete.")
    try:
        return read_spending(Path(market) / SPENDING_FILE, lines)
    except StorageError as error:
        return Finding(None, "privacy_account", f"{error}.")


def _bookings(
    market: NodeId, entries: Sequence[Entry], privacy: UserPrivacy, account: Spending | None
) -> Iterator[Booking]:
    """Yield what a market was charged, in the order of the ledger; last what only its own account knows."""
    manifests = _manifests(entries)
    told: set[str] = set()
    for entry in entries:
        match entry.body:
            case CohortFixed() as cohort if any(advert.client == market for advert in cohort.adverts):
                name = charge_name(cohort.round, cohort.attempt)
                counts = account is None or name in account.charges
            case SurvivorsFixed() as fixed if market in fixed.survivors:
                name = charge_name(fixed.round, fixed.attempt)
                counts = True
            case _:
                continue
        body = entry.body
        if counts and name not in told:
            told.add(name)
            yield Booking(entry.seq, _event(manifests.get((body.round, body.attempt)), privacy))
    for name, charge in (account.charges if account else {}).items():
        if name not in told:
            yield Booking(entries[-1].seq, charge.event)


def _is_in_a_sum(market: NodeId, entries: Sequence[Entry]) -> bool:
    return any(isinstance(entry.body, SurvivorsFixed) and market in entry.body.survivors for entry in entries)


def _uncharged(market: NodeId, entries: Sequence[Entry], account: Spending | None) -> Iterator[Finding]:
    """Find sums a market is in without having charged its users for them."""
    for entry in entries:
        match entry.body:
            case SurvivorsFixed() as fixed if account is not None and market in fixed.survivors:
                name = charge_name(fixed.round, fixed.attempt)
                if name not in account.charges:
                    message = f"{market} is in the sum of {name}, which its own account does not charge."
                    yield Finding(entry.seq, "privacy_account", message)


def _manifests(entries: Sequence[Entry]) -> dict[tuple[int, int], ManifestFields]:
    opened = (entry.body for entry in entries if isinstance(entry.body, RoundOpened))
    return {(body.round, body.attempt): body.manifest for body in opened}


def _event(manifest: ManifestFields | None, privacy: UserPrivacy) -> Event:
    """Return what the attempt with this manifest costs; without usable noise nothing bounds it."""
    if manifest is None or manifest.noise is None:
        return NonPrivate()
    return _event_with(manifest.noise, manifest.num_parameters, privacy)


@cache
def _event_with(noise: NoiseFields, num_parameters: int, privacy: UserPrivacy) -> Event:
    units = (noise.clip_units, noise.share_variance, noise.num_shares)
    try:
        return privacy.event(IntegerMechanism(num_parameters, privacy.clip_norm, *units))
    except MisuseError:
        return NonPrivate()


def _cost(counts: EventCounts, delta: float, accountants: Mapping[str, Accountant]) -> Cost:
    found = epsilons(counts, delta, accountants)
    bare = epsilons(without_amplification(counts), delta, accountants)
    return Cost(larger_epsilon(found), found, max(bare.values()), sum(counts.values()))


def _overspent(
    market: NodeId,
    bookings: Sequence[Booking],
    privacy: UserPrivacy,
    accountants: Mapping[str, Accountant],
) -> Finding:
    """Name the first record after which the budget was passed; more events never cost less."""
    within, beyond = 0, len(bookings)
    while beyond - within > 1:
        middle = (within + beyond) // 2
        counts = Counter(booking.event for booking in bookings[:middle])
        is_within = max(epsilons(counts, privacy.delta, accountants).values()) <= privacy.epsilon
        within, beyond = (middle, beyond) if is_within else (within, middle)
    record = bookings[beyond - 1].record
    message = f"Record {record} takes {market} past its privacy budget of epsilon {privacy.epsilon:g}."
    return Finding(record, "budget", message)
