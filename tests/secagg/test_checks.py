import pytest

from fecosr.crypto.key_agreement import PrivateKey
from fecosr.errors import ProtocolViolation
from fecosr.ids import NodeId
from fecosr.secagg.checks import check_adverts, check_sources, check_survivors
from fecosr.secagg.cohort import form_cohort
from fecosr.secagg.messages import KeyAdvert
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.rules import Rule
from fecosr.secagg.statements import signed_advert
from tests.reference.rehearsal import CONTEXT, identity_of


def crowd(size: int) -> tuple[dict[NodeId, bytes], tuple[KeyAdvert, ...]]:
    names = [NodeId(f"m{i:02}") for i in range(size)]
    keys = [PrivateKey(bytes([i, 1]) * 16).public for i in range(2 * size)]
    adverts = tuple(
        signed_advert(CONTEXT, name, identity_of(name), (keys[2 * i], keys[2 * i + 1]), bytes(32))
        for i, name in enumerate(names)
    )
    return {name: identity_of(name).public for name in names}, adverts


def test_a_cohort_may_be_as_large_as_the_graph_and_no_larger() -> None:
    parameters = SecAggParameters(CONTEXT, 1, 3, 1)
    roster, adverts = crowd(65)
    check_adverts(parameters, roster, adverts[0], adverts[:64])
    with pytest.raises(ProtocolViolation) as refusal:
        check_adverts(parameters, roster, adverts[0], adverts)
    assert refusal.value.rule == Rule.COHORT_TOO_LARGE


@pytest.mark.parametrize(("n_min", "max_colluding", "fewest"), [(3, 1, 5), (7, 1, 7), (5, 3, 6)])
def test_the_larger_of_minimum_and_threshold_counts_in_every_phase(
    n_min: int, max_colluding: int, fewest: int
) -> None:
    _, adverts = crowd(8)
    cohort = form_cohort(SecAggParameters(CONTEXT, 1, n_min, max_colluding), adverts)
    names = list(cohort.adverts)
    check_sources(cohort, names[0], names[1:fewest])
    check_survivors(cohort, names[0], names, names[:fewest])
    with pytest.raises(ProtocolViolation) as refusal:
        check_sources(cohort, names[0], names[1 : fewest - 1])
    assert refusal.value.rule == Rule.COHORT_TOO_SMALL
    with pytest.raises(ProtocolViolation) as refusal:
        check_survivors(cohort, names[0], names, names[: fewest - 1])
    assert refusal.value.rule == Rule.TOO_FEW_SURVIVORS
