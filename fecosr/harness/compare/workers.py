"""Several processes at work on the jobs of a comparison; one of them may be this one.

Every process computes on one thread, so that figures do not depend on how many processes there are. On a GPU
each has a context of its own, and sums whose order the GPU chooses can differ in the last bit.
"""

import json
import multiprocessing
import signal
import sys
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Final, Protocol

import torch

from fecosr.config.exits import INTERRUPTED
from fecosr.errors import FecosrError
from fecosr.harness.compare.cells import Cell
from fecosr.harness.compare.jobs import Advanced, CellDone, Event, Job, Request, Workshop, open_workshop

_JOIN_SECONDS: Final = 10.0


class Watcher(Protocol):
    """Be told what the processes do."""

    def told(self, process: int, event: Event) -> None:
        """Hear of an event in the process with this number, from 0."""

    def idle(self, process: int) -> None:
        """Hear that a process has nothing left to do."""


def run_jobs(workshop: Workshop, jobs: Sequence[Job], num_processes: int, watcher: Watcher) -> None:
    """Do all jobs, and return when their cells are on disk.

    Args:
        workshop: opened; used here if one process is enough.
        jobs: in the order in which they are started.
        num_processes: at most so many at a time.
        watcher: is told how it goes.

    Raises:
        FecosrError: what stopped a job; finished cells are on disk.

    Guarantees: no process outlives this call, however it ends.
    """
    if min(num_processes, len(jobs)) <= 1:
        torch.set_num_threads(1)
        for job in jobs:
            workshop.do(job, lambda event: watcher.told(0, event))
        return
    with _started(workshop, min(num_processes, len(jobs))) as workers:
        _hand_out(deque(jobs), workers, watcher)


@dataclass(frozen=True, slots=True)
class _Worker:
    """Hold one process and our end of the pipe to it."""

    number: int
    process: SpawnProcess
    pipe: Connection


@contextmanager
def _started(workshop: Workshop, number: int) -> Iterator[list[_Worker]]:
    """Start processes for the length of a block; whatever happens, they are gone afterwards."""
    context = multiprocessing.get_context("spawn")
    text, deciding = workshop.request.model_dump_json(), json.dumps(dict(workshop.store.deciding))
    workers: list[_Worker] = []
    try:
        for place in range(number):
            ours, theirs = context.Pipe()
            process = context.Process(target=work, args=(theirs, text, deciding), daemon=True)
            process.start()
            theirs.close()
            workers.append(_Worker(place, process, ours))
        yield workers
    finally:
        for worker in workers:
            # A cell is on disk or it is not: there is nothing to wait for.
            worker.process.terminate()
            worker.process.join(_JOIN_SECONDS)
            worker.pipe.close()


def _hand_out(jobs: deque[Job], workers: Sequence[_Worker], watcher: Watcher) -> None:
    busy: dict[Connection, _Worker] = {}
    for worker in workers:
        _next_job(worker, jobs, busy, watcher)
    while busy:
        for ready in wait(list(busy)):
            worker = busy[ready]  # type: ignore[index] # we wait for connections only
            try:
                message = json.loads(worker.pipe.recv_bytes())
            except (EOFError, ConnectionResetError):
                worker.process.join(_JOIN_SECONDS)
                raise FecosrError(
                    f"a process of the comparison ended with exit code {worker.process.exitcode} "
                    "(out of memory?); the same command goes on where it stopped"
                ) from None
            if "failed" in message:
                raise FecosrError(message["failed"])
            if message == {}:
                _next_job(worker, jobs, busy, watcher)
            else:
                watcher.told(worker.number, _event(message))


def _next_job(worker: _Worker, jobs: deque[Job], busy: dict[Connection, _Worker], watcher: Watcher) -> None:
    if not jobs:
        busy.pop(worker.pipe, None)
        watcher.idle(worker.number)
        return
    worker.pipe.send_bytes(json.dumps([asdict(cell) for cell in jobs.popleft().cells]).encode())
    busy[worker.pipe] = worker


def work(pipe: Connection, request: str, deciding: str) -> None:
    """Do jobs as they come through a pipe, as JSON; the first thing a process of ours runs.

    Args:
        pipe: to the process that started this one.
        request: as JSON.
        deciding: what must decide the cells, as JSON: a process that reads other code or other data than the
            one that started it would write files that nobody looks for.
    """
    # Ctrl-C reaches every process of a terminal; the one that started us answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    try:
        workshop = _same_workshop(request, deciding)
        while True:
            cells = tuple(Cell(**cell) for cell in json.loads(pipe.recv_bytes()))
            workshop.do(Job(cells), lambda event: _send(pipe, _message(event)))
            _send(pipe, {})
    except (EOFError, BrokenPipeError):
        # The process that started us is gone, however it went.
        sys.exit(INTERRUPTED)
    except FecosrError as error:
        _send(pipe, {"failed": str(error)})
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not be lost in this process
        traceback.print_exc()
        _send(pipe, {"failed": f"{type(error).__name__}: {error}"})


def _same_workshop(request: str, deciding: str) -> Workshop:
    workshop = open_workshop(Request.model_validate_json(request))
    if dict(workshop.store.deciding) != json.loads(deciding):
        raise FecosrError("program or data changed since the comparison started; start it again")
    return workshop


def _send(pipe: Connection, message: dict[str, Any]) -> None:
    pipe.send_bytes(json.dumps(message).encode())


def _message(event: Event) -> dict[str, Any]:
    return asdict(event)


def _event(message: dict[str, Any]) -> Event:
    cell = Cell(**message.pop("cell"))
    return CellDone(cell, **message) if "seconds" in message else Advanced(cell, **message)
