from dataclasses import replace

from fecosr.ids import NodeId
from fecosr.secagg.cohort import form_cohort
from fecosr.secagg.messages import AdvertList, Phase
from tests.reference.rehearsal import ME, NAMES, Rehearsal


def test_the_order_of_arrival_does_not_matter(play: Rehearsal) -> None:
    told = play.told[Phase.ADVERTISE_KEYS][ME]
    assert isinstance(told, AdvertList)
    cohort = form_cohort(play.parameters, told.adverts)
    assert form_cohort(play.parameters, told.adverts[::-1]) == cohort
    assert tuple(cohort.adverts) == NAMES[:5]
    assert cohort.session == play.session


def test_everything_follows_from_the_size(play: Rehearsal) -> None:
    told = play.told[Phase.ADVERTISE_KEYS][ME]
    assert isinstance(told, AdvertList)
    cohort = form_cohort(play.parameters, told.adverts)
    assert cohort.threshold == 4
    assert cohort.fewest_survivors == 4
    strict = form_cohort(replace(play.parameters, n_min=5), told.adverts)
    assert strict.fewest_survivors == 5
    assert cohort.graph.positions(NAMES[2]) == dict(zip(NAMES[:5], range(1, 6), strict=True))
    cz = NodeId("cz")
    assert cohort.mask_publics([cz]) == {cz: cohort.adverts[cz].mask_public}
