"""What is left to do, cut into jobs, and how one process does a job."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Literal

from fecosr.config.toml import Section
from fecosr.data.markets import NamedSettings
from fecosr.harness.compare.cells import Cell, run_cell
from fecosr.harness.compare.provenance import code_digest, digest_of, versions
from fecosr.harness.compare.registry import methods_named
from fecosr.harness.compare.settings import ComparisonSettings
from fecosr.harness.compare.store import Store
from fecosr.harness.compare.study import Study, prepare_study
from fecosr.harness.compare.variants import Variant, digest_of_data, load_variant, markets_of
from fecosr.recommender.semantics import EmbeddingAccess
from fecosr.recommender.semantics.embedding_files import sha256_of
from fecosr.recommender.settings import TEXT_MODELS
from fecosr.storage.vector_cache import VectorFolder


class Request(Section):
    """Say what to compare.

    Attributes:
        data: the folder of markets, or the file that describes them; None for the generated ones.
        out: the folder of the comparison.
        methods: names, in the order of the report.
        variants: of the data.
        seeds: all of them for every method.
        settings: of all methods; where semantic vectors are made with an embedding, its hash among them.
        embedding: the folder of the text model, or the file of vectors, where the settings want one.
        device: where every process trains and evaluates; another one rounds otherwise, and draws dropout
            otherwise.
    """

    data: Path | None
    out: Path
    methods: tuple[str, ...]
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    settings: ComparisonSettings
    embedding: Path | None = None
    device: Literal["cpu", "cuda"] = "cpu"

    @property
    def versions(self) -> dict[str, str]:
        """Return the versions that a reader of the report needs in order to repeat it."""
        return versions(with_text_models=self.settings.semantics.kind in TEXT_MODELS)

    def cells(self) -> tuple[Cell, ...]:
        """Return every cell, in the order of the report."""
        return tuple(
            Cell(method, variant, seed)
            for variant in self.variants
            for method in self.methods
            for seed in self.seeds
        )


@dataclass(frozen=True, slots=True)
class Job:
    """Name cells that share a stage, and so are done by one process one after the other."""

    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Advanced:
    """Tell how far the current cell of a process is."""

    cell: Cell
    activity: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class CellDone:
    """Tell that a cell is on disk."""

    cell: Cell
    seconds: float


Event = Advanced | CellDone
Report = Callable[[Event], None]
Encoded = Callable[[int, int], None]
"""Be told that so many of so many titles of a market have vectors."""


def _ignore(done: int, total: int) -> None:
    del done, total


@dataclass(slots=True)
class Workshop:
    """Hold what one process needs for any job: data, prepared once per variant, and the store.

    Args:
        request: what to compare.
        markets: where the markets of the request are.
    """

    request: Request
    markets: NamedSettings
    store: Store = field(init=False)
    _studies: dict[Variant, Study] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.store = Store(self.request.out, {name: self._deciding(name) for name in self.request.variants})

    def study(self, variant: Variant, encoded: Encoded = _ignore) -> Study:
        """Return a variant's markets, ready for any seed; `encoded` is told how many titles have vectors."""
        if variant not in self._studies:
            data = load_variant(self.markets, variant)
            cache = VectorFolder(self.request.out / "vectors")
            access = EmbeddingAccess(self.request.embedding, cache, encoded)
            self._studies[variant] = prepare_study(
                data, self.request.settings, seed=0, access=access, device=self.request.device
            )
        return self._studies[variant]

    def pending(self) -> tuple[Job, ...]:
        """Return what is not on disk, the long jobs of each variant and seed first."""
        missing = [cell for cell in self.request.cells() if self.store.read(cell) is None]
        stage = {method.name: method.stage for method in methods_named(self.request.methods)}
        place = {name: number for number, name in enumerate(self.request.methods)}

        def order(cell: Cell) -> tuple[int, int, int]:
            # What learns stands further down in a report than what counts.
            shared = min(place[name] for name in place if stage[name] == stage[cell.method])
            return self.request.variants.index(cell.variant), cell.seed, -shared

        cells = sorted(missing, key=order)
        return tuple(Job(tuple(group)) for _, group in groupby(cells, key=order))

    def do(self, job: Job, report: Report) -> None:
        """Run the cells of a job and write each to disk as soon as it is finished."""
        for cell in job.cells:
            study = replace(
                self.study(cell.variant),
                seed=cell.seed,
                stages=self.store.stages(cell.variant, cell.seed),
                advance=_advancing(cell, report),
            )
            (method,) = methods_named([cell.method])
            result = run_cell(method, study)
            self.store.write(cell, result)
            report(CellDone(cell, result.seconds))

    def _deciding(self, variant: Variant) -> str:
        data = load_variant(self.markets, variant)
        request = self.request
        settings = request.settings.model_dump(mode="json")
        # Of a file of vectors the settings hold what it says of itself; what stands in it decides too.
        path = request.embedding if request.settings.semantics.kind == "vectors" else None
        given = sha256_of(path) if path else ""
        used = [request.versions, request.device, given]
        return digest_of([code_digest(), digest_of_data(data), settings, *used])


def open_workshop(request: Request) -> Workshop:
    """Return the workshop of a request, its data found.

    Raises:
        DataError: the data cannot be used.
    """
    return Workshop(request, markets_of(request.data))


def _advancing(cell: Cell, report: Report) -> Callable[[str, int, int], None]:
    return lambda activity, done, total: report(Advanced(cell, activity, done, total))
