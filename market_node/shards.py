"""A node of several processes: which of them this is, what cannot be divided, and what all but shard 0 do."""

import os
from collections.abc import Mapping
from typing import Final

from fecosr.config.exits import DONE
from fecosr.config.parties import NodeConfig
from fecosr.config.plan import Plan
from fecosr.errors import ConfigError
from market_node.loading import import_what_trains
from market_node.readiness import Log

SHARD_READY: Final = "shard_ready"


def shard_of(environment: Mapping[str, str], config: NodeConfig, plan: Plan) -> int:
    """Return which shard this process is; the one that speaks to the coordinator is 0.

    Args:
        environment: of the process, in which torchrun says so.
        config: of the node.
        plan: of the run.

    Raises:
        ConfigError: there are not as many processes as shards, or this run cannot be divided.
    """
    shard, started = int(environment.get("RANK", "0")), int(environment.get("WORLD_SIZE", "1"))
    if started != config.num_shards:
        raise ConfigError(
            f"num_shards is {config.num_shards}, and {started} processes were started",
            remedy=f"torchrun --standalone --nproc-per-node {config.num_shards} -m market_node --config ..."
            if config.num_shards > 1
            else "set num_shards in node.toml, or start without torchrun",
        )
    if config.num_shards > 1:
        _check_divisible(config, plan)
    return shard


def _check_divisible(config: NodeConfig, plan: Plan) -> None:
    reason = ""
    if plan.privacy.mode != "none":
        reason = "private rounds, whose users' gradients are made one by one to the bit,"
    elif plan.semantics.kind == "behaviour":
        reason = "semantics made from behaviour"
    elif config.device == "cuda":
        reason = "training on a GPU"
    if reason:
        raise ConfigError(f"{reason} cannot be divided among shards", remedy="set num_shards = 1")


def follow_first(config: NodeConfig, plan: Plan, shard: int, log: Log) -> int:
    """Compute for shard 0 until it needs nothing more; return the exit code.

    Only configuration and plan are read here: neither data nor keys.

    Raises:
        ConfigError: shard 0 has another plan.
        ShardLost: another shard has ended.
    """
    import_what_trains()
    # They import torch, as above.
    import torch  # noqa: PLC0415

    from fecosr.training.sharded.group import ShardGroup  # noqa: PLC0415
    from fecosr.training.sharded.learner import Order, follow  # noqa: PLC0415

    def say(order: Order, number: int) -> None:
        log.info("shard_ordered", order=order.name.lower(), round=number)

    torch.set_num_threads(config.num_threads)
    group = ShardGroup.join(shard, config.num_shards, plan.hash())
    log.info(SHARD_READY, shard=shard, pid=os.getpid())
    follow(group, plan.learning(config.report.local_training), plan.run.seed, say)
    group.leave()
    return DONE
