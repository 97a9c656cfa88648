"""What must hold when a scenario is over: one section, every key of which becomes verdicts in words."""

from typing import Annotated, Final, Literal

from pydantic import Field

from fecosr.config.toml import Section

Method = Literal["popularity", "local", "fecosr"]
METHODS: Final[tuple[Method, ...]] = ("popularity", "local", "fecosr")
Metric = Literal["hr@10", "ndcg@10", "mrr"]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Memory(Section):
    """Bound what processes may have resident at a time.

    Growth is the median over the last quarter of a run divided by the median over its second quarter, each
    process counted over all its starts.
    """

    coordinator_bytes: Annotated[int | None, Field(ge=1, description="most memory of the coordinator")] = None
    node_bytes: Annotated[int | None, Field(ge=1, description="most memory of any market node")] = None
    growth: Annotated[float | None, Field(gt=0, description="most growth of any process")] = None


class Expect(Section):
    """State what must hold when everything is over. Every fault must also have happened."""

    max_seconds: Annotated[
        float, Field(gt=0, le=24 * 3600, description="for the whole run; then it is ended")
    ]
    ends: Annotated[
        Literal["completed", "aborted", "refused"],
        Field(
            description="completed: all rounds, every node's model; aborted: the run is given up by name, "
            "and every node learns it; refused: the harness ends the run once `refusals` were heard"
        ),
    ] = "completed"
    rounds: Annotated[
        int | None,
        Field(
            ge=0,
            description="rounds released; without it, as many as the plan has, or as it demands when it may "
            "end early",
        ),
    ] = None
    dropouts: Annotated[
        Literal["any"] | dict[int, tuple[str, ...]] | None,
        Field(
            description='per round, which markets dropped out of it, or "any"; without it, what kills by '
            "phase imply, and any where other faults leave it open"
        ),
    ] = None
    min_survivors: Annotated[
        int | None, Field(ge=1, description="fewest markets in the sum of any round")
    ] = None
    abort_reasons: Annotated[
        tuple[str, ...] | None,
        Field(description="why attempts were aborted: these reasons and no others, each at least once"),
    ] = None
    refusals: Annotated[
        dict[str, str],
        Field(
            default_factory=dict, description="per market, the rule by which it must have refused something"
        ),
    ]
    exits: Annotated[
        dict[str, int],
        Field(default_factory=dict, description="exit codes at the end of processes that do not end with 0"),
    ]
    said: Annotated[
        dict[str, tuple[str, ...]],
        Field(default_factory=dict, description="per process, events that must stand in its log"),
    ]
    fine_tuned: Annotated[
        Literal["all"] | tuple[str, ...],
        Field(description="which markets must end with a model and figures of their own"),
    ] = "all"
    methods: Annotated[
        tuple[Method, ...], Field(description="methods that must have figures in each of those markets")
    ] = METHODS
    metrics: Annotated[
        dict[Method, dict[Metric, Fraction]],
        Field(default_factory=dict, description="least mean over the markets of a metric, per method"),
    ]
    min_users: Annotated[int, Field(ge=1, description="fewest users a market must have had")] = 1
    max_epsilon: Annotated[
        float | None, Field(gt=0, description="most epsilon of any market, recomputed by the audit")
    ] = None
    memory: Annotated[Memory, Field(description="bounds on memory")] = Memory()
    sums: Annotated[
        Literal["recomputed", "trusted"],
        Field(
            description="recomputed: every round's sum must be the survivors' updates, trained again, up "
            "to stochastic rounding; only without noise"
        ),
    ] = "trusted"
    audit: Annotated[
        Literal["verified", "skipped"], Field(description="whether the run folder must pass the audit")
    ] = "verified"
