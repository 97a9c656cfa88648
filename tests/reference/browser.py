"""A real browser without a window, as far as this machine has one."""

import shutil
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

PATIENCE_SECONDS = 60.0


def missing() -> str:
    """Return what keeps this machine from running a browser; empty when nothing does."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return (
        f"{' and '.join(absent)} not installed (apt-get install chromium chromium-driver)" if absent else ""
    )


class Browser:
    """Look at pages; made by `browser`."""

    def __init__(self, driver: Chrome) -> None:
        self._driver = driver

    def open(self, port: int, token: str) -> None:
        """Show the dashboard at `port`, and wait until it has shown the run."""
        headers = {"headers": {"Authorization": f"Bearer {token}"}}
        self._driver.execute_cdp_cmd("Network.enable", {})
        self._driver.execute_cdp_cmd("Network.setExtraHTTPHeaders", headers)
        self._driver.get(f"http://127.0.0.1:{port}/")
        self.wait_until("return document.body.dataset.shown !== undefined")

    def scheme(self, scheme: Literal["light", "dark"]) -> None:
        """Prefer bright or dark pages from now on."""
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def run(self, script: str) -> Any:
        """Return what `script` returns in the page."""
        return self._driver.execute_script(script)

    def wait_until(self, script: str) -> None:
        """Wait until `script` returns something true."""
        WebDriverWait(self._driver, PATIENCE_SECONDS).until(lambda _: self.run(script))

    def complaints(self) -> list[str]:
        """Return what the browser has complained about since it was asked last."""
        return [entry["message"] for entry in self._driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def size(self, width: int, height: int) -> None:
        """Make the window so large."""
        self._driver.set_window_size(width, height)

    def picture(self, path: Path) -> None:
        """Write the whole page as PNG, however long it is."""
        size = self._driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        wanted = {"captureBeyondViewport": True, "clip": {**size, "scale": 1}}
        taken = self._driver.execute_cdp_cmd("Page.captureScreenshot", wanted)
        path.write_bytes(b64decode(taken["data"]))


@contextmanager
def browser() -> Iterator[Browser]:
    """Give a browser that ends with the block."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    with tempfile.TemporaryDirectory(prefix="browser-") as profile:
        # Root may not use the sandbox, and containers have little shared memory.
        for option in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "hide-scrollbars"):
            options.add_argument(f"--{option}")
        options.add_argument(f"--user-data-dir={profile}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = Chrome(options, Service(shutil.which("chromedriver")))
        try:
            driver.set_window_size(1200, 1500)
            yield Browser(driver)
        finally:
            driver.quit()
