"""The floor for a round: the same bytes over the same gRPC settings and TLS, and nothing else.

Every round each client downloads one vector and uploads one, in the same chunks as the real service. There
are no phases, masks, hashes, signatures, records or disks; with `--least-work` there are the hashes and
masks that no round can do without (`least_work.py`), and still nothing else. `python -m
fecosr.rpc.bare_streaming` is one process of it; the benchmark starts a server and some clients and reads the
seconds per round from the log.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import grpc
import grpc.aio
import typer

from fecosr.config.clock import utc_now
from fecosr.config.heap import reuse_one_heap, share_one_heap
from fecosr.config.logs import configure_logs
from fecosr.rpc.channel_options import CHANNEL_OPTIONS, server_options
from fecosr.rpc.least_work import CoordinatorWork, NodeWork
from fecosr.rpc.tls import TlsFiles, channel_credentials, server_credentials
from fecosr.wire.transfers import CHUNK_BYTES

SERVICE = "fecosr.bench.BareStreaming"
READY = "bare_ready"
ROUND_DONE = "bare_round"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Folder = Annotated[Path, typer.Option("--tls", help="Folder with ca.pem, certificate.pem and key.pem.")]
Size = Annotated[int, typer.Option("--size-bytes", help="Bytes each way, per client and round.")]
Rounds = Annotated[int, typer.Option("--rounds")]
Clients = Annotated[int, typer.Option("--clients")]
LeastWork = Annotated[bool, typer.Option("--least-work", help="Hash and mask as every round must.")]


@app.command()
def server(
    tls: Folder, size_bytes: Size, rounds: Rounds, clients: Clients, least_work: LeastWork = False
) -> None:
    """Serve `rounds` rounds, log the seconds of each, and stop."""
    # As in the processes that both are compared with.
    share_one_heap()
    work = CoordinatorWork(size_bytes, clients if least_work else 0)
    asyncio.run(_serve(_files(tls), size_bytes, _Rounds(clients, rounds), work))


@app.command()
def client(  # noqa: PLR0917 - typer passes options by name
    tls: Folder,
    size_bytes: Size,
    rounds: Rounds,
    clients: Clients,
    address: Annotated[str, typer.Option("--address")],
    least_work: LeastWork = False,
) -> None:
    """Take part in `rounds` rounds."""
    reuse_one_heap()
    work = NodeWork(size_bytes, clients if least_work else 0)
    asyncio.run(_take_part(_files(tls), rounds, address, work))


def _files(folder: Path) -> TlsFiles:
    return TlsFiles(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")


@dataclass(slots=True)
class _Rounds:
    """Start a round when all clients ask for it, and end it when all have uploaded."""

    clients: int
    rounds: int
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    started: float = 0.0
    _asked: int = 0
    _uploaded: int = 0
    _ended: int = 0
    _open: asyncio.Event = field(default_factory=asyncio.Event)

    async def begin(self) -> None:
        """Wait until every client has asked for this round."""
        gate = self._open
        self._asked += 1
        if self._asked == self.clients:
            self._asked, self._open = 0, asyncio.Event()
            self.started = time.monotonic()
            gate.set()
        await gate.wait()

    def uploaded(self) -> bool:
        """Count one upload; return whether it was the last of its round."""
        self._uploaded = (self._uploaded + 1) % self.clients
        return self._uploaded == 0

    def end(self) -> int:
        """End the round and return its number; the last one ends it all."""
        self._ended += 1
        if self._ended == self.rounds:
            self.finished.set()
        return self._ended


async def _serve(tls: TlsFiles, size_bytes: int, state: _Rounds, work: CoordinatorWork) -> None:
    log = configure_logs()
    vector = memoryview(bytearray(size_bytes))

    async def download(_: bytes, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
        await state.begin()
        for chunk in _chunks(vector):
            await context.write(bytes(chunk))

    async def upload(requests: AsyncIterator[bytes], _: object) -> bytes:
        arrival = work.arrival()
        async for chunk in requests:
            arrival.take_in(chunk)
        if arrival.received_bytes != size_bytes:
            raise ValueError(f"a client sent {arrival.received_bytes} of {size_bytes} bytes")
        if state.uploaded():
            await asyncio.to_thread(work.open_sum)
            log.info(ROUND_DONE, round=state.end(), seconds=time.monotonic() - state.started)
        return b""

    calls: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Download": grpc.unary_stream_rpc_method_handler(download),
        "Upload": grpc.stream_unary_rpc_method_handler(upload),
    }
    listener = grpc.aio.server(options=server_options(state.clients))
    listener.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, calls),))
    port = listener.add_secure_port("127.0.0.1:0", server_credentials(tls, utc_now()))
    await listener.start()
    log.info(READY, port=port)
    await state.finished.wait()
    await listener.stop(grace=5.0)


async def _take_part(tls: TlsFiles, rounds: int, address: str, work: NodeWork) -> None:
    credentials = channel_credentials(tls, utc_now())
    async with grpc.aio.secure_channel(address, credentials, options=CHANNEL_OPTIONS) as channel:
        download: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
            f"/{SERVICE}/Download"
        )
        upload: grpc.aio.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(f"/{SERVICE}/Upload")
        for _ in range(rounds):
            async for chunk in download(b""):
                work.take_in(chunk)
            await upload(_sent(await asyncio.to_thread(work.upload)))


async def _sent(vector: memoryview) -> AsyncIterator[bytes]:
    for chunk in _chunks(vector):
        yield bytes(chunk)


def _chunks(vector: memoryview) -> list[memoryview]:
    return [vector[start : start + CHUNK_BYTES] for start in range(0, len(vector), CHUNK_BYTES)]


if __name__ == "__main__":
    app()
