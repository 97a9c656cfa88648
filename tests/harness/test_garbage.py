import socket
import threading

from fecosr.harness.garbage import throw

CONNECTIONS = 8


def heard(seed: int) -> list[bytes]:
    """Return what a server that never answers is sent over each connection."""
    pieces: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            for _ in range(CONNECTIONS):
                connection, _ = listener.accept()
                with connection:
                    received = b""
                    try:
                        while piece := connection.recv(65536):
                            received += piece
                    except ConnectionResetError:
                        pass
                    pieces.append(received)

        server = threading.Thread(target=listen)
        server.start()
        assert throw(listener.getsockname()[1], connections=CONNECTIONS, seed=seed) == CONNECTIONS
        server.join()
    return pieces


def test_every_connection_brings_something_else() -> None:
    assert len(set(heard(1))) > CONNECTIONS // 2


def test_nobody_there_is_no_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = listener.getsockname()[1]
    assert throw(nobody, connections=2, seed=1) == 0
