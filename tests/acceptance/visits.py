"""A real browser that visits the page: what went wrong in it, what it asked of others, and what axe finds."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, sync_playwright

from lifeline.model import Role
from tests.api_process import Api

CHROMIUMS = (Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium"))
"""The first that is there: the one without a window of its own leaves two cores more time for the page."""
FLAGS = [
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-gpu-compositing",  # SwiftShader draws the map alone: a frame of the whole page took it 0.1 s of CPU
    "--no-sandbox",
    "--disable-background-networking",
]
OF_THE_BROWSER = "GPU stall due to ReadPixels"
"""What Chromium tells of itself where it puts the map into the page without a graphics card; no word of the page."""
SHARPNESS = 0.5
"""Pixels of the device for one of the page, whose size stays: no test looks at pixels, and the processor draws each."""
GRAVE = {"serious", "critical"}
PATIENCE_MS = 120_000
"""How long anything is waited for that comes by itself, as ``until`` does: browsers are slow beside others."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """One browser; a test fails where there is none."""
    if not any(each.exists() for each in CHROMIUMS):
        pytest.fail(
            "no Chromium: `make test` installs it, or `apt-get install chromium-headless-shell libatomic1`",
            pytrace=False,
        )
    with sync_playwright() as playwright:
        yield launch(playwright)


def launch(playwright: Playwright) -> Browser:
    found = next(each for each in CHROMIUMS if each.exists())
    return playwright.chromium.launch(executable_path=found, args=FLAGS)


@dataclass
class Visit:
    """A page that is open, and what went wrong in it or left its own server."""

    page: Page
    api: Api
    complaints: list[str] = field(default_factory=list)

    def open(self, query: str = "lang=zh", role: Role = Role.OPERATOR) -> None:
        self.page.goto(f"{self.api.url}/?{query}#key={self.api.key(role)}")
        self.ready()

    def ready(self) -> None:
        self.page.wait_for_selector("body[data-ready]")

    @property
    def address(self) -> str:
        """Where the page is. Asked of the page: what Playwright itself knows is as old as the browser's last notice."""
        return str(self.page.evaluate("location.href"))

    def heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and OF_THE_BROWSER not in message.text:
            self.complaints.append(message.text)

    def asked(self, request: Request) -> None:
        if not request.url.startswith((self.api.url, "data:", "blob:")):
            self.complaints.append(f"asked {request.url}")

    def faults(self) -> list[str]:
        """What axe calls serious or critical: the rule and where it is broken."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{each['id']}: {node['target']} {node['html'][:120]}"
            for each in found
            if each["impact"] in GRAVE
            for node in each["nodes"]
        ]


@contextmanager
def visiting(
    browser: Browser, api: Api, *, width: int = 1440, height: int = 860, theme: str = "dark", touch: bool = False
) -> Iterator[Visit]:
    """A visit with an empty browser: no key, nothing remembered."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        locale="zh-CN",
        color_scheme="light" if theme == "light" else "dark",
        has_touch=touch,
        is_mobile=touch,
        device_scale_factor=SHARPNESS,
    )
    context.set_default_timeout(PATIENCE_MS)
    visit = Visit(context.new_page(), api)
    visit.page.on("console", visit.heard)
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.on("request", visit.asked)
    try:
        yield visit
    finally:
        context.close()


def cells(visit: Visit, level: str) -> int:
    """How many cells of this level the page says that it shows."""
    return int(visit.page.locator(f"#legend tr:has(.badge.{level}) td").first.inner_text())


def zoomed(visit: Visit) -> float:
    """How near the map is, as the address says once it has come to rest; 0 before."""
    found = re.search(r"[?&]at=[^&]*,([\d.]+)(?:&|$)", visit.address)
    return float(found[1]) if found else 0.0


def press(visit: Visit, *keys: str) -> None:
    for key in keys:
        visit.page.keyboard.press(key)


def kept_file(visit: Visit, control: str) -> str:
    """What the browser keeps when a file is asked for."""
    with visit.page.expect_download() as kept:
        visit.page.locator(control).click()
    return Path(kept.value.path()).read_text(encoding="utf-8")
