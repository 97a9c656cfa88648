"""All methods, in the order in which a report lists them."""

from collections.abc import Sequence
from typing import Final

from fecosr.errors import ConfigError
from fecosr.harness.compare.method import Method
from fecosr.harness.compare.methods.fecosr import FeCoSR, FeCoSRWithoutFineTuning
from fecosr.harness.compare.methods.fedavg import FedAvgCE, FedAvgCEFineTuned
from fecosr.harness.compare.methods.item_knn import ItemKNN
from fecosr.harness.compare.methods.local import LocalItemTable, LocalSemantic
from fecosr.harness.compare.methods.popularity import Popularity

METHODS: Final[tuple[Method, ...]] = (
    Popularity(),
    ItemKNN(),
    LocalItemTable(),
    LocalSemantic(),
    FedAvgCE(),
    FedAvgCEFineTuned(),
    FeCoSR(),
    FeCoSRWithoutFineTuning(),
)


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
