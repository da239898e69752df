"""A headless Chromium, as a person has it: what is looked at is what it shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.helpers import PATIENCE, until


class Browser:
    """One page in a browser."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        """Open a page, and wait until it is told what hosts show."""
        self.driver.get("about:blank")  # another fragment alone would load nothing
        self.complaints()  # of the page before, whose server has ended
        self.driver.get(url)
        until(lambda: self.text("#connection") == "live", "the page is live")

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page a size, and as many pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: str) -> None:
        """Have the user prefer light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def run(self, script: str, *arguments: object) -> Any:
        """Run a script in the page, as its developer tools do."""
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        """Return the text of the first element."""
        return str(self.run("return document.querySelector(arguments[0])?.textContent", selector))

    def texts(self, selector: str) -> list[str]:
        """Return the text of each element."""
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
        return list(self.run(script, selector))

    def find(self, selector: str) -> Any:
        """Return the first element."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def complaints(self) -> list[str]:
        """Return what the browser has said of the page since the last call: errors, refusals."""
        return [str(each["message"]) for each in self.driver.get_log("browser")]

    def faint(self) -> list[str]:
        """Return the texts that differ too little from what is behind them: less than 4.5 to 1."""
        return list(
            self.run(
                """
                const paint = document.createElement("canvas")
                  .getContext("2d", {willReadFrequently: true});
                const rgba = (text) => {
                  paint.clearRect(0, 0, 1, 1);
                  paint.fillStyle = text;
                  paint.fillRect(0, 0, 1, 1);
                  return [...paint.getImageData(0, 0, 1, 1).data];
                };
                const over = ([r, g, b, a], under) =>
                  [r, g, b].map((v, n) => (v * a + under[n] * (255 - a)) / 255);
                const behind = (e) => (e
                  ? over(rgba(getComputedStyle(e).backgroundColor), behind(e.parentElement))
                  : [255, 255, 255]);
                const light = (rgb) => rgb
                  .map((v) => v / 255)
                  .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
                  .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0.05);
                return [...document.body.querySelectorAll("*")].filter((e) => {
                  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
                  if (!own || !e.getClientRects().length) return false;
                  const ground = behind(e);
                  const text = light(over(rgba(getComputedStyle(e).color), ground));
                  const [less, more] = [text, light(ground)].sort((a, b) => a - b);
                  return more / less < 4.5;
                }).map((e) => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 40)}`);
                """
            )
        )

    def overflowing(self) -> list[str]:
        """Return what is wider than the page or than its own box."""
        return list(
            self.run(
                """
                const wide = document.documentElement.clientWidth;
                return [...document.body.querySelectorAll("*")].filter((e) => {
                  const box = e.getBoundingClientRect();
                  if (!box.width || e.closest("thead, svg")) return false;
                  return box.right > wide + 1 || box.left < -1;
                }).map((e) => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 40)}`);
                """
            )
        )


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser, which ends with the block."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for each in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(each)
    # A name of somebody else that leads to this machine, as in an attack by DNS rebinding.
    options.add_argument("--host-resolver-rules=MAP evil.example 127.0.0.1")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(PATIENCE)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
