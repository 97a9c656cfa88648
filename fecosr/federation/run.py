"""The whole protocol of a run in one place: documentation, test oracle and simulation kernel at once."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fecosr.errors import MisuseError
from fecosr.federation import node as market
from fecosr.federation.aggregation import RingVector, Vector
from fecosr.federation.contribution import NodeSetup, Trained
from fecosr.federation.coordinator import (
    CoordinatorState,
    CoordinatorTransition,
    RunningCoordinator,
    open_run,
    resume_run,
)
from fecosr.federation.effects import (
    CoordinatorRecord,
    CountersignatureStored,
    Disconnect,
    EvidenceStored,
    FineTune,
    KeepFinalModel,
    MakeSketch,
    ModelStored,
    NodeRecord,
    Observed,
    OptimiserStateStored,
    SketchStored,
    StartSession,
    SumStored,
    ToCoordinator,
    ToNode,
    TrainLocally,
)
from fecosr.federation.handover import Stopped
from fecosr.federation.memory import remembered
from fecosr.federation.messages import CoordinatorMessage, Hello, NodeMessage, RoundManifest
from fecosr.federation.node_states import Closing, Idle, Listening, NodeState, NodeTransition, Ready, Training
from fecosr.federation.optimisers import OptimiserState
from fecosr.federation.progress import CoordinatorSetup
from fecosr.federation.replay import Kept, Replayed, best_model, replay
from fecosr.federation.sketch import SketchContribution
from fecosr.ids import NodeId
from fecosr.ledger.countersignature import Countersignature
from fecosr.ledger.log import Entry

Train = Callable[[NodeId, RoundManifest, Vector], Trained]
Entropy = Callable[[NodeId], bytes]
Sketch = Callable[[NodeId], Vector]


def no_sketch(node: NodeId) -> Vector:
    """Stand for the sketches of a plan that has none."""
    raise MisuseError(f"{node} was asked for a sketch although the plan has none")


def run_federation(
    setup: CoordinatorSetup,
    nodes: Sequence[NodeSetup],
    initial: Vector,
    train: Train,
    entropy: Entropy,
    *,
    sketch: Sketch = no_sketch,
) -> "FederationRun":
    """Run a whole federation in one process, every message delivered in order and nobody failing.

    Coordinator: opens the run and waits for the markets that are invited to the round.
    Both, if semantics are made from behaviour: round 0, in which everybody's sketch is added up the same way;
    its sum is released as it is, every later manifest names it, and nodes fetch it before they train.
    Nodes: introduce themselves; once these are there the coordinator opens a round and sends the signed task.
    Nodes: check the task, fetch the model, measure it if the plan says so, train, and start the secure
    aggregation with their masked update.
    Both: the five phases (`fecosr.secagg.run`), at the end of which the coordinator knows the sum.
    Coordinator: takes the server step, records the release, closes the round, and opens the next.
    Coordinator, after the last round or when the models no longer become better: closes the run.
    Nodes: check that the end follows from what they were told, keep the final model, fine-tune it at home.
    """
    run = FederationRun(train, entropy, sketch)
    run.coordinator_does(open_run(setup, initial, run.now))
    for node in nodes:
        run.node_arrives(node)
    while run.deliver_next():
        pass
    return run


@dataclass(slots=True)
class FederationRun:
    """Carry out the transitions of all parties in memory, as the drivers do with sockets and disks.

    Attributes:
        train: stands for local training.
        entropy: stands for the operating system's; must return 32 fresh bytes each time.
        sketch: stands for sketching a market's behaviour.
        now: virtual seconds.
        ledger: the coordinator's ledger entries, in order.
        models: shared models by hash.
        optimiser_states: what the server optimiser remembered after each round, by hash.
        sums: opened sums by hash.
        sketches: the opened sum of sketches by its hash, if there is one.
        countersignatures: what each node signed last of the ledger, as the coordinator knows it.
        records: what each node stored, in order.
        fine_tuning: the final model's hash for each node that got it.
        log: every observed event, with who observed it.
    """

    train: Train
    entropy: Entropy
    sketch: Sketch = no_sketch
    now: float = 0.0
    ledger: list[Entry] = field(default_factory=list)
    models: dict[bytes, Vector] = field(default_factory=dict)
    optimiser_states: dict[bytes, OptimiserState] = field(default_factory=dict)
    sums: dict[bytes, RingVector] = field(default_factory=dict)
    evidence: dict[bytes, bytes] = field(default_factory=dict)
    sketches: dict[bytes, Vector] = field(default_factory=dict)
    countersignatures: dict[NodeId, Countersignature] = field(default_factory=dict)
    records: dict[NodeId, list[NodeRecord]] = field(default_factory=dict)
    fine_tuning: dict[NodeId, bytes] = field(default_factory=dict)
    log: list[tuple[str, str, Mapping[str, object]]] = field(default_factory=list)
    coordinator: CoordinatorState | None = None
    deadline: float | None = None
    nodes: dict[NodeId, NodeState] = field(default_factory=dict)
    to_nodes: deque[tuple[NodeId, CoordinatorMessage]] = field(default_factory=deque)
    to_coordinator: deque[tuple[NodeId, NodeMessage]] = field(default_factory=deque)

    def node_arrives(self, setup: NodeSetup) -> None:
        """Start a node, which remembers what it stored before, and let it connect."""
        records = self.records.setdefault(setup.me, [])
        self.nodes[setup.me] = Idle(setup, remembered(records))
        self._node_does(setup.me, market.connected(self._listening(setup.me)))

    def node_crashes(self, node: NodeId) -> None:
        """Kill a node at once: nothing it had not yet sent is ever sent."""
        del self.nodes[node]
        self.to_nodes = deque(item for item in self.to_nodes if item[0] != node)
        running = self._running()
        self.coordinator_does(running.disconnected(node, self.now))

    def coordinator_restarts(self, setup: CoordinatorSetup) -> None:
        """Let the coordinator come back from nothing but what it stored; messages on their way are lost."""
        self.to_nodes.clear()
        self.to_coordinator.clear()
        replayed = replay(self.ledger, setup.key.public)
        self.coordinator_does(resume_run(setup, replayed, self.kept(setup, replayed), self.now))
        for name, state in self.nodes.items():
            if isinstance(state, Listening):
                self.nodes[name] = market.disconnected(state).state
                self._node_does(name, market.connected(self._listening(name)))

    def kept(self, setup: CoordinatorSetup, replayed: Replayed) -> Kept:
        """Return what the coordinator stored under the hashes its ledger ends with."""
        parameters = self.models[replayed.model_hash]
        sketch = None if replayed.sketch_hash is None else self.sketches[replayed.sketch_hash]
        if not replayed.released:
            return Kept(parameters, setup.plan.server.init(len(parameters)), sketch=sketch)
        best = best_model(setup.plan, replayed)
        state = self.optimiser_states[replayed.optimiser_state]
        return Kept(parameters, state, None if best is None else self.models[best], sketch)

    def time_passes(self) -> None:
        """Jump to the coordinator's deadline."""
        if self.deadline is None:
            raise MisuseError("the coordinator waits for nothing that time could bring")
        self.now = max(self.now, self.deadline)
        self.coordinator_does(self._running().expire(self.now))

    def deliver_next(self) -> bool:
        """Deliver the oldest message on its way; return whether there was one."""
        if self.to_nodes:
            node, order = self.to_nodes.popleft()
            if node in self.nodes and isinstance(self.nodes[node], Listening):
                self._node_does(node, market.receive(self._listening(node), order))
            return True
        if self.to_coordinator:
            sender, message = self.to_coordinator.popleft()
            self._coordinator_hears(sender, message)
            return True
        return False

    def coordinator_does(self, transition: CoordinatorTransition) -> None:
        """Carry out a transition of the coordinator: records first, then messages."""
        for record in transition.records:
            self._store(record)
        self.coordinator, self.deadline = transition.state, transition.deadline
        for item in transition.outbox:
            match item:
                case ToNode(node=node, message=message):
                    self.to_nodes.append((node, message))
                case Observed(event=event, fields=fields):
                    self.log.append(("coordinator", event, fields))
                case Disconnect():
                    pass

    def _store(self, record: CoordinatorRecord) -> None:
        match record:
            case ModelStored(model_hash=digest, parameters=parameters):
                self.models[digest] = parameters
            case OptimiserStateStored(state_hash=digest, state=state):
                self.optimiser_states[digest] = state
            case SumStored(sum_hash=digest, total=total):
                self.sums[digest] = total
            case EvidenceStored(evidence_hash=digest, content=content):
                self.evidence[digest] = content
            case SketchStored(sketch_hash=digest, sketch=sketch):
                self.sketches[digest] = sketch
            case CountersignatureStored(statement=statement):
                self.countersignatures[statement.market] = statement
            case entry:
                self.ledger.append(entry)

    def _coordinator_hears(self, sender: NodeId, message: NodeMessage) -> None:
        if isinstance(self.coordinator, Stopped):
            return
        running = self._running()
        if isinstance(message, Hello):
            self.coordinator_does(running.connected(sender, message, self.now))
        else:
            self.coordinator_does(running.receive(sender, message, self.now))

    def _node_does(self, node: NodeId, transition: NodeTransition) -> None:
        self.records[node].extend(transition.records)
        self.nodes[node] = transition.state
        for item in transition.outbox:
            match item, self.nodes[node]:
                case ToCoordinator(message=message), _:
                    self.to_coordinator.append((node, message))
                case MakeSketch(manifest=manifest), Training() as training:
                    sketched = SketchContribution(manifest.model_hash, self.sketch(node))
                    self._node_does(node, training.trained(sketched))
                case TrainLocally(manifest=manifest), Training() as training:
                    result = self.train(node, manifest, self.models[manifest.model_hash])
                    self._node_does(node, training.trained(result))
                case StartSession(), Ready() as ready:
                    self._node_does(node, ready.start_session(self.entropy(node)))
                case KeepFinalModel(), Closing() as closing:
                    self._node_does(node, closing.final_model_kept())
                case FineTune(model_hash=model_hash), _:
                    self.fine_tuning[node] = model_hash
                case Observed(event=event, fields=fields), _:
                    self.log.append((node, event, fields))

    def _running(self) -> RunningCoordinator:
        if self.coordinator is None or isinstance(self.coordinator, Stopped):
            raise MisuseError("the coordinator is not running")
        return self.coordinator

    def _listening(self, node: NodeId) -> Listening:
        state = self.nodes[node]
        if not isinstance(state, Listening):
            raise MisuseError(f"{node} has left the run")
        return state
