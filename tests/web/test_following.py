"""A view between two threads."""

from concurrent.futures import ThreadPoolExecutor

from fecosr.web.following import Following


def test_every_change_counts_whatever_thread_it_comes_from() -> None:
    following = Following(0)
    with ThreadPoolExecutor(8) as threads:
        for _ in range(1000):
            threads.submit(following.see, lambda view: view + 1)
    assert following.newest == (1000, 1000)


def test_a_change_that_fails_is_none_at_all() -> None:
    following = Following(3)
    following.see(lambda view: view // 0)
    assert following.newest == (0, 3)
    following.see(lambda view: view + 1)
    assert following.newest == (1, 4)
