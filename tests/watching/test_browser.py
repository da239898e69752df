"""The page in a browser, of hosts that a test plays: hostile ones, and very many."""

from __future__ import annotations

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
    with paged([bad, down, FakeHost("third", 2)]) as served:
        sized.open(served.url)
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
