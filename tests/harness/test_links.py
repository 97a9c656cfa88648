"""The proxy between node and coordinator, with a server that sends back what it gets."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from fecosr.harness.links import Link, Links

PATIENCE_SECONDS = 60.0
QUIET_SECONDS = 0.2
WORDS = bytes(range(100))
Connect = Callable[[], socket.socket]


@pytest.fixture
def echo_port() -> Iterator[int]:
    def echo(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while piece := connection.recv(4096):
                connection.sendall(piece)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=echo, args=[connection], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def links() -> Iterator[Links]:
    with Links() as links:
        yield links


@pytest.fixture
def connect(links: Links, echo_port: int) -> Iterator[Connect]:
    port = links.open("beta", echo_port)
    opened: list[socket.socket] = []

    def connect() -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        opened.append(connection)
        return connection

    yield connect
    for connection in opened:
        connection.close()


def received(connection: socket.socket, num_bytes: int) -> bytes:
    pieces = b""
    while len(pieces) < num_bytes and (piece := connection.recv(num_bytes - len(pieces))):
        pieces += piece
    return pieces


def is_quiet(connection: socket.socket) -> bool:
    connection.settimeout(QUIET_SECONDS)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(PATIENCE_SECONDS)
    return False


def change(links: Links, how: Callable[[Link], None]) -> None:
    links.change(["beta"], how)


def test_a_link_in_good_weather_passes_everything_and_ends_with_its_ends(connect: Connect) -> None:
    connection = connect()
    connection.sendall(WORDS * 1000)
    assert received(connection, 100_000) == WORDS * 1000
    connection.shutdown(socket.SHUT_WR)
    assert connection.recv(1) == b""


def test_what_was_sent_during_a_partition_arrives_after_it(connect: Connect, links: Links) -> None:
    connection = connect()
    connection.sendall(WORDS)
    received(connection, len(WORDS))
    change(links, lambda link: link.weather.passing.clear())
    connection.sendall(WORDS)
    assert is_quiet(connection)
    change(links, lambda link: link.weather.passing.set())
    assert received(connection, len(WORDS)) == WORDS


def test_a_cut_link_resets_what_stands_and_refuses_what_comes(connect: Connect, links: Links) -> None:
    connection = connect()
    connection.sendall(WORDS)
    received(connection, len(WORDS))
    change(links, Link.cut)
    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    with suppress(ConnectionResetError):
        assert connect().recv(1) == b""

    def heal(link: Link) -> None:
        link.weather.refusing = False

    change(links, heal)
    again = connect()
    again.sendall(WORDS)
    assert received(again, len(WORDS)) == WORDS


def test_a_dead_connection_swallows_everything_and_a_new_one_does_not(connect: Connect, links: Links) -> None:
    dead = connect()
    dead.sendall(WORDS)
    received(dead, len(WORDS))
    change(links, Link.deaden)
    dead.sendall(WORDS)
    assert is_quiet(dead)
    new = connect()
    new.sendall(WORDS)
    assert received(new, len(WORDS)) == WORDS


def test_a_bit_is_changed_once_and_on_the_way_up_only(connect: Connect, links: Links) -> None:
    connection = connect()

    def corrupt(link: Link) -> None:
        link.weather.corrupt_pieces = 1

    change(links, corrupt)
    connection.sendall(WORDS)
    assert received(connection, len(WORDS)) == WORDS[:-1] + bytes([WORDS[-1] ^ 1])
    connection.sendall(WORDS)
    assert received(connection, len(WORDS)) == WORDS


@pytest.mark.parametrize("kind", ["delay", "throttle"])
def test_a_slow_link_takes_at_least_as_long_as_it_says(connect: Connect, links: Links, kind: str) -> None:
    def slow(link: Link) -> None:
        if kind == "delay":
            link.weather.delay_seconds = 0.1
        else:
            link.weather.bytes_per_second = len(WORDS) * 10

    change(links, slow)
    connection = connect()
    begin = time.monotonic()
    connection.sendall(WORDS)
    assert received(connection, len(WORDS)) == WORDS
    assert time.monotonic() - begin >= 0.2


def test_a_delayed_link_is_long_and_not_narrow(links: Links, connect: Connect) -> None:
    """Each of 256 pieces waits a tenth of a second, and all of them at once."""

    def delay(link: Link) -> None:
        link.weather.delay_seconds = 0.1

    change(links, delay)
    connection = connect()
    much = WORDS * 42_000
    begin = time.monotonic()
    sending = threading.Thread(target=connection.sendall, args=[much])
    sending.start()
    assert received(connection, len(much)) == much
    sending.join()
    assert time.monotonic() - begin < 20.0


def test_a_coordinator_that_is_not_there_is_a_connection_that_ends(links: Links) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = free.getsockname()[1]
    port = links.open("alpha", nobody)
    # The end may be heard while still dialling. Waiting in vain is no ConnectionError, and fails.
    with (
        suppress(ConnectionError),
        socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection,
    ):
        assert connection.recv(1) == b""


def test_a_node_without_a_link_has_no_port(links: Links) -> None:
    assert links.port("gamma") is None
