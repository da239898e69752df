"""The page in a browser, of hosts that a test plays: hostile ones, and very many."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from genvx.core.device import Device
from genvx.core.leases.claim import Owner
from genvx.core.leases.lease import Lease
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import Moment, RunSpec
from genvx.errors import HostUnreachable
from genvx.testing import FakeHost, Played
from tests.helpers import until
from tests.watching.paged import paged

pytestmark = pytest.mark.needs("browser")

IMG = "<img src=x onerror=\"document.title='owned'\">"
EVIL = f"{IMG}\u202eevil\u200f\x1b[31m\x07</script><script>document.title='owned'</script>"
LONG = "x" * 120


@pytest.fixture(scope="module")
def browser():
    from tests.browser import chromium

    with chromium() as found:
        yield found


@pytest.fixture(params=[(1280, "light"), (360, "dark")], ids=["wide", "narrow"])
def sized(browser, request):
    width, scheme = request.param
    browser.resize(width)
    browser.prefer(scheme)
    return browser


def hostile():
    owner = Owner(1001, EVIL)
    devices = (Device("GPU-1", 0, EVIL, 80 << 30), Device("GPU-2", 1, LONG, None))
    lease = Lease(
        ("GPU-1",),
        None,
        id="aa00",
        owner=owner,
        environment_id="aa",
        name=EVIL + LONG,
        boot_id="b",
        since_ns=0,
    )
    return FakeHost(
        "hostile",
        devices,
        leases=[lease],
        script=lambda spec: Played(f"{EVIL}\n{LONG * 30}\n".encode(), None),
    )


def test_what_hostile_hosts_say_is_text_that_can_be_seen_and_fits(sized):
    bad = hostile()
    bad.submit(RunSpec("abcdef01", (EVIL, LONG), Requirements(1), "", "", Moment(0, 0), name=LONG))
    down = FakeHost(f"down{EVIL}", error=HostUnreachable(EVIL + LONG * 5, kind="timeout"))
    with paged([bad, down, FakeHost("third", 2)], act_token="act") as served:
        sized.open(f"{served.url}#actions=act")
        until(lambda: sized.texts(".open"), "the run is there")
        sized.find(".open").click()
        until(lambda: len(sized.texts(".log .line")) >= 2, "its log is there")
        sized.run("document.querySelector('.tile').focus()")
        assert sized.run("return document.querySelectorAll('img, iframe, main script').length") == 0
        said = sized.run("return document.body.textContent")
        assert IMG in said
        assert "\\u202e" in said
        assert not any(c in said for c in "\u202e\u200f\x1b\x07")
        assert IMG in sized.text("#details")
        assert sized.overflowing() == []
        assert sized.run("return document.documentElement.scrollWidth <= innerWidth")
        # What it asks before it stops the run names the run, as text, and fits as well.
        until(lambda: sized.run("return !document.querySelector('#runs .do').hidden"), "its button")
        sized.find("#runs .do").click()
        asked = sized.text("#ask-what")
        assert asked.startswith("Stop run abcdef01 “xxxx")
        assert len(asked) < 200
        assert sized.overflowing() == []
        assert sized.faint() == []
        assert sized.run("return document.activeElement.id") == "ask-no"
        sized.find("#ask-no").click()
        assert sized.text("#said") == ""
        assert sized.run("return document.title") == "genvx"
        # The policy had nothing to refuse, and no script has failed.
        assert sized.complaints() == []
        with pytest.raises(Exception, match="TrustedHTML"):
            sized.run("document.body.innerHTML = '<b>x</b>'")
        sized.complaints()


def test_only_what_changed_of_a_thousand_gpus_is_painted_again(browser):
    browser.resize(1280)
    hosts = [FakeHost(f"node-{number:03}", 8) for number in range(125)]
    with paged(hosts, every=1.0) as served:
        browser.open(served.url)
        until(lambda: len(browser.texts(".tile")) == 1000, "all GPUs are there")
        until(lambda: "on 125 of 125 hosts" in browser.text("#counts"), "all hosts are there")
        browser.run(
            """
            window.touched = [];
            window.first = document.querySelector(".tile");
            new MutationObserver((all) => all.forEach((m) => {
              const element = m.target.nodeType === 1 ? m.target : m.target.parentElement;
              const tile = element.closest(".tile");
              touched.push(tile ? tile.dataset.uuid : "another");
            })).observe(document.getElementById("map"),
              {subtree: true, childList: true, attributes: true, characterData: true});
            """
        )
        grant = hosts[7].reserve(Ask(Requirements(gpus=1), name="train"))
        uuid = grant.devices[0].uuid
        until(
            lambda: (
                browser.run(f"return document.querySelector('[data-uuid={uuid}]').dataset.state")
                == "leased"
            ),
            "the lease is seen",
        )
        touched = set(browser.run("return touched"))
        # Besides the GPU there is how many of its host are free.
        assert touched == {uuid, "another"}
        assert browser.run("return first.isConnected")
        assert "999 of 1000 GPUs free" in browser.text("#counts")


def test_the_keyboard_reaches_each_gpu_and_shows_who_has_it(browser):
    from selenium.webdriver.common.keys import Keys

    browser.resize(1280)
    host = FakeHost("a", 4)
    host.reserve(Ask(Requirements(gpus=1), name="train"))
    with paged([host, FakeHost("b", 2)]) as served:
        browser.open(served.url)
        until(lambda: len(browser.texts(".tile")) == 6, "all GPUs are there")
        browser.run("document.getElementById('find').focus()")
        focused = "return document.activeElement.getAttribute('aria-label')"
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        assert browser.run(focused).startswith("a GPU 0, A100-80GB: leased by me since ")
        assert "Held by me (train)" in browser.text("#details")
        for key, label in (
            (Keys.ARROW_RIGHT, "a GPU 1, A100-80GB: free"),
            (Keys.END, "b GPU 1, A100-80GB: free"),
            (Keys.HOME, "a GPU 0, "),
        ):
            browser.driver.switch_to.active_element.send_keys(key)
            assert browser.run(focused).startswith(label)
        assert not browser.run("return document.getElementById('details').hidden")
        browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
        assert browser.run("return document.getElementById('details').hidden")
        browser.find("#find").send_keys("train")
        until(lambda: browser.texts("#map bdi") == ["a"], "what is sought is left")

        # The chart of the last day says what it shows, as a whole and at a time.
        until(lambda: browser.texts("#use figure"), "the day is there")
        chart = browser.find("#use .plot")
        said = chart.get_attribute("aria-valuetext")
        assert said == "leased 17% on average, busy 0% on average"
        chart.send_keys(Keys.ARROW_LEFT)
        assert re.fullmatch(
            r"(\S+ )?\d\d:\d\d: leased 17%, busy 0%", chart.get_attribute("aria-valuetext")
        )
        browser.run("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
        until(lambda: len(browser.texts("#use-hosts figure")) == 2, "the hosts are there")
        charts = [
            each.get_attribute("aria-label")
            for each in browser.driver.find_elements("css selector", "details .plot")
        ]
        assert charts[:2] == ["a: leased 25%, busy 0%", "b: leased 0%, busy 0%"]
        assert charts[2].startswith("me: 0.0 GPU hours, at most 1 GPU")


EVIL_PAGE = """<!doctype html><title>evil</title><iframe name=frame></iframe>
<form method=post enctype=text/plain target=frame action="{url}api/release">
<input name='{{"host": "a", "environment": "{env}", "x": "' value='"}}'></form><script>
(async () => {{
  const url = "{url}api/release", body = '{{"host": "a", "environment": "{env}"}}';
  const json = {{"Content-Type": "application/json", "Genvx-Actions": "guess"}};
  const said = [];
  const blind = {{mode: "no-cors"}};
  for (const more of [blind, {{}}, {{headers: json}}, {{headers: json, ...blind}}])
    await fetch(url, {{method: "POST", body, credentials: "include", ...more}})
      .then((a) => said.push(a.type), () => said.push("failed"));
  await fetch("{url}api/fleet").then(() => said.push("read"), () => said.push("failed"));
  navigator.sendBeacon(url, body);
  document.forms[0].submit();
  document.querySelector("iframe").onload = () => document.body.dataset.said = said.join(" ");
}})();
</script>"""


class Evil(BaseHTTPRequestHandler):
    """The server of somebody else."""

    page = ""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.page.encode())

    def log_message(self, *words):
        pass


def test_a_page_of_somebody_else_changes_nothing_and_ours_asks_first(browser):
    browser.resize(1280)
    host = FakeHost("a", 2)
    env = host.reserve(Ask(Requirements(gpus=1), name="train")).environment_id
    held = lambda: host.snapshot().environments  # noqa: E731
    # A browser opens connections ahead of need, and says nothing on them: a server of one thread
    # would wait there.
    evil = ThreadingHTTPServer(("127.0.0.1", 0), Evil)
    serving = threading.Thread(target=evil.serve_forever)
    serving.start()
    try:
        with paged([host], act_token="act") as served:
            Evil.page = EVIL_PAGE.format(url=served.url, env=env)
            # A page elsewhere, and one that has another port of this machine.
            for name in ("evil.example", "127.0.0.1"):
                browser.driver.get(f"http://{name}:{evil.server_port}/")
                said = "return document.body.dataset.said"
                until(lambda: browser.run(said), "it has tried")  # noqa: B023
                assert browser.run(said) in (
                    "opaque failed failed opaque failed",
                    "failed failed failed failed failed",
                )
            # A page elsewhere whose name now leads to us.
            port = served.url.rstrip("/").rpartition(":")[2]
            browser.driver.get(f"http://evil.example:{port}/#actions=act")
            assert "unknown Host" in browser.text("body")
            assert [each.id for each in held()] == [env]

            browser.open(served.url)
            until(lambda: browser.texts(".tile"), "the GPUs are there")
            assert browser.run("return document.querySelector('#own').hidden")
            browser.open(f"{served.url}#actions=act")
            assert "act" not in browser.run("return location.href").partition("//")[2]
            until(lambda: browser.texts("#own-table .do"), "what is ours is there")
            browser.find("#own-table .do").click()
            assert browser.text("#ask-what") == f"Release environment {env} “train” on a?"
            browser.driver.switch_to.active_element.send_keys("\ue00c")  # Escape
            until(lambda: not browser.run("return document.querySelector('#ask').open"), "closed")
            assert [each.id for each in held()] == [env]
            browser.find("#own-table .do").click()
            browser.find("#ask-yes").click()
            until(lambda: "Released train" in browser.text("#said"), "it is said")
            until(lambda: not browser.texts("#own-table .do"), "it is gone")
            assert held() == ()
    finally:
        evil.shutdown()
        serving.join()
        evil.server_close()
