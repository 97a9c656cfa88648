"""All methods, in the order in which a report lists them."""

from collections.abc import Sequence
from typing import Final

from fecosr.errors import ConfigError
from fecosr.harness.compare.method import Method
from fecosr.harness.compare.methods.ablations import (
    FeCoSRWithoutAdapter,
    FeCoSRWithoutFederation,
    FeCoSRWithoutRegression,
)
from fecosr.harness.compare.methods.centralised import Centralised, CentralisedFineTuned
from fecosr.harness.compare.methods.ditto import Ditto
from fecosr.harness.compare.methods.ease import EASE
from fecosr.harness.compare.methods.fecosr import FeCoSR, FeCoSRWithoutFineTuning
from fecosr.harness.compare.methods.fedavg import FedAvgCE, FedAvgCEFineTuned
from fecosr.harness.compare.methods.fedprox import FedProxFineTuned
from fecosr.harness.compare.methods.fedrep import FedRep
from fecosr.harness.compare.methods.item_knn import ItemKNN
from fecosr.harness.compare.methods.label_smoothing import LabelSmoothingFineTuned
from fecosr.harness.compare.methods.local import LocalItemTable, LocalItemTableRegression, LocalSemantic
from fecosr.harness.compare.methods.permuted import FeCoSRPermuted
from fecosr.harness.compare.methods.popularity import Popularity
from fecosr.harness.compare.methods.private import PrivateFeCoSR, PrivateFeCoSRWithoutFineTuning
from fecosr.harness.compare.methods.transfer import OneToOneTransfer

EPSILONS: Final = (8, 4, 2)
"""Promises to every user whose price is asked."""

METHODS: Final[tuple[Method, ...]] = (
    Popularity(),
    ItemKNN(),
    EASE(),
    LocalItemTable(),
    LocalItemTableRegression(),
    LocalSemantic(),
    OneToOneTransfer(),
    FedAvgCE(),
    FedAvgCEFineTuned(),
    FedProxFineTuned(),
    LabelSmoothingFineTuned(),
    FedRep(),
    Ditto(),
    FeCoSR(),
    FeCoSRPermuted(),
    FeCoSRWithoutFederation(),
    FeCoSRWithoutAdapter(),
    FeCoSRWithoutRegression(),
    FeCoSRWithoutFineTuning(),
    *(method(epsilon) for epsilon in EPSILONS for method in (PrivateFeCoSR, PrivateFeCoSRWithoutFineTuning)),
    Centralised(),
    CentralisedFineTuned(),
)

CORE: Final = (
    Popularity.name,
    ItemKNN.name,
    EASE.name,
    LocalItemTable.name,
    LocalItemTableRegression.name,
    LocalSemantic.name,
    FedAvgCEFineTuned.name,
    FeCoSR.name,
    FeCoSRPermuted.name,
    CentralisedFineTuned.name,
)
"""The methods without which the comparison says nothing."""

LOCAL: Final = (LocalItemTable.name, LocalItemTableRegression.name, LocalSemantic.name)
"""What a market reaches alone; the best of the three on validation users is what others are compared with."""


def methods_named(names: Sequence[str]) -> tuple[Method, ...]:
    """Return the methods with these names, in the order of the report.

    Raises:
        ConfigError: there is no such method.
    """
    known = {method.name: method for method in METHODS}
    for name in names:
        if name not in known:
            raise ConfigError(f"there is no method {name!r}", remedy=f"choose from {', '.join(known)}")
    return tuple(method for method in METHODS if method.name in names)
