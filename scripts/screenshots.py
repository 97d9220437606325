"""Pictures of every view of the page for the README and the docs: `make screenshots`.

Looks at a running `lifeline demo`, waits until something has happened there, and writes docs/images. A view that is
not there after a while is an error, not an empty picture. Some views are an engineer's or an administrator's: a key is
made in the demo and revoked at the end. LIFELINE_PAGE names another address, LIFELINE_KEY an administrator's key there.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import TimeoutError as NotInTime

from lifeline import fieldlink
from lifeline.fieldlink import Action, FieldLink

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
FLAGS = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox", "--disable-background-networking"]
WIDE = (1440, 860)
PHONE = (390, 844)
PATIENCE_MS = 240_000


CREW, PERSON = "燃气抢修二队", "李伟"
HANDOVER = "{place}：{crew}已出发，阀门已关，到场后复测井室浓度。\n雨量仍在增加，下穿通道每半小时看一次液位。"


@contextmanager
def place() -> Iterator[tuple[str, str]]:
    """Address of the page, and an administrator's key that is good while the pictures are made."""
    if "LIFELINE_PAGE" in os.environ:
        yield os.environ["LIFELINE_PAGE"].rstrip("/"), os.environ["LIFELINE_KEY"]
        return
    home = demo_home()
    try:
        url = json.loads((home / "running.json").read_text(encoding="utf-8"))["url"]
    except OSError as error:
        raise SystemExit(f"no demo runs in {home} ({error.strerror}): start `lifeline demo` first") from error
    name = f"night-desk-{os.getpid()}"
    try:
        yield url.rstrip("/"), keys(home, "add", name, "--role", "admin", "--days", "1")
    finally:
        keys(home, "revoke", name)


def demo_home() -> Path:
    """Where the demo keeps what it has."""
    return Path(os.environ.get("LIFELINE_HOME", Path.home() / ".local/share/lifeline")) / "demo"


def keys(home: Path, act: str, name: str, *options: str) -> str:
    """Make or revoke a key in a demo; the key that was made."""
    command = [sys.executable, "-m", "lifeline.cli", "keys", act, name, *options, "--home", str(home)]
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"llk_\S+", done.stdout)
    if done.returncode or (act == "add" and not found):
        raise SystemExit(f"lifeline keys {act} failed: {done.stderr or done.stdout}")
    return found[0] if found else ""


class Camera:
    """A browser before the page."""

    def __init__(self, browser: Browser, url: str, key: str) -> None:
        self.browser, self.url, self.key = browser, url, key
        self.place = ""

    def open(self, query: str, *, theme: str = "dark", size: tuple[int, int] = WIDE) -> Page:
        width, height = size
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="light" if theme == "light" else "dark",
            locale="zh-CN" if "lang=zh" in query else "en-GB",
        )
        page = context.new_page()
        page.goto(f"{self.url}/?{query}#key={self.key}")
        page.wait_for_selector("body[data-ready]", timeout=60_000)
        return page

    def keep(self, page: Page, name: str) -> None:
        page.wait_for_timeout(1200)  # what a press began
        with suppress(NotInTime):  # on a machine that does much else a living map is never at rest
            page.wait_for_selector("#map[data-drawn], #stage[hidden], #field", state="attached", timeout=20_000)
        page.screenshot(path=IMAGES / f"{name}.png", timeout=PATIENCE_MS)
        page.context.close()
        sys.stdout.write(f"docs/images/{name}.png\n")

    def incident(self, name: str, language: str, *, whole: bool = False, **how: object) -> None:
        """The worst incident, with its chart; ``whole``: beside the whole city."""
        page = self.open(f"lang={language}", **how)  # type: ignore[arg-type]
        page.locator("#entries .row").first.wait_for(timeout=PATIENCE_MS)
        page.locator("#entries .row").first.click()
        page.locator("#panel .u-over").wait_for(timeout=30_000)
        if whole:
            page.wait_for_timeout(1500)  # the map is on its way to the incident
            page.locator("#layers button.fit").click()
        self.keep(page, name)

    def view(self, name: str, query: str, there: str, **how: object) -> None:
        """Another view, once what it is about is there."""
        page = self.open(query, **how)  # type: ignore[arg-type]
        page.locator(there).first.wait_for(timeout=60_000)
        self.keep(page, name)

    def replay(self) -> None:
        """The map of some minutes ago beside now."""
        page = self.open("lang=en")
        page.select_option("#time select", "1h")
        slider = page.locator("#time input[type=range]")
        slider.evaluate("slider => { slider.value = slider.max - 90; slider.dispatchEvent(new Event('input')); }")
        page.locator("#time button.live").wait_for(timeout=30_000)
        page.locator("#time button.compare").click()
        page.locator("#time .told").wait_for(timeout=60_000)
        self.keep(page, "time")

    def several(self) -> None:
        """Two things of the list chosen for one act; one where there is one."""
        page = self.open("lang=en")
        page.locator("#entries .choose").first.wait_for(state="attached", timeout=PATIENCE_MS)
        for key in ("j", "x") * min(2, page.locator("#entries .choose").count()):
            page.keyboard.press(key)
        page.locator("#bulk").wait_for()
        self.keep(page, "list")

    def work(self) -> None:
        """Somebody is at work on the worst that still goes on: a city in which nobody answers is none."""
        page = self.open("lang=zh")
        page.locator("#entries .row").first.wait_for(timeout=PATIENCE_MS)
        lasting = page.locator("#entries .row[data-kind=incident]:not(:has(.over))")  # one that is over is closed by it
        self.place = page.locator("#entries .row strong").first.inner_text()
        if lasting.count():
            self.place = lasting.first.locator("strong").inner_text()
            lasting.first.click()
            self.take_on(page)
        page.context.close()

    def take_on(self, page: Page) -> None:
        """The incident in the panel: acknowledged, confirmed, dispatched, assigned, as far as it is not yet."""
        page.locator("#panel .respond").wait_for()
        for act in ("acknowledge", "confirmed"):
            if page.locator(f"#panel [data-act={act}]").count():
                page.locator(f"#panel [data-act={act}]").click()
                page.locator(f"#panel [data-act={act}]").wait_for(state="detached")
        if page.locator("#panel [data-act=dispatched]").count():
            page.fill("#panel [name=team]", CREW)
            page.locator("#panel [data-act=dispatched]").click()
            page.locator("#panel [data-act=on_site]").wait_for()
            page.locator("#panel [data-act=assign]").click()
            page.fill("#panel [name=assignee]", PERSON)
            page.locator("#panel .assign .unfolded button").click()
            page.locator("#panel .response .meta", has_text=PERSON).wait_for()

    def field(self) -> None:
        """What a crew sees of the worst alert by the link of its message, signed as the demo on this machine does."""
        secret = (demo_home() / "secrets" / "links").read_text(encoding="utf-8").strip()
        page = self.open("lang=zh", size=PHONE)
        page.locator("#entries .row").first.wait_for(timeout=PATIENCE_MS)
        found = page.evaluate("import('/api.js').then(({ get }) => get('/alerts', { state: 'open', order: 'worst' }))")
        alert = next(each for each in found["items"] if each["kind"] == "risk")
        expires = datetime.now(UTC) + timedelta(hours=4)
        token = fieldlink.write(secret, FieldLink(alert["id"], Action.CONFIRMED, expires, 1, "n" * 16))
        page.goto(f"{self.url}/field/{token}")
        page.locator(".big button").first.wait_for()
        self.keep(page, "field")

    def stress(self) -> None:
        """A stress test; made where there is none."""
        page = self.open("lang=en&view=renewal&tab=stress")
        page.locator("#stress-asset").wait_for()
        page.wait_for_timeout(1000)  # one that was made before is drawn
        if not page.locator("#side .figures-of-plan").count():
            page.locator("#stress-asset").fill(
                page.locator("[data-critical]").first.get_attribute("data-critical") or ""
            )
            page.locator("#side form .primary").click()
        page.locator("#side .figures-of-plan").first.wait_for(timeout=PATIENCE_MS)
        self.keep(page, "stress")

    def zones(self) -> None:
        """A suggested zone with its corners."""
        page = self.open("lang=zh&view=renewal&tab=zones", theme="light")
        page.locator("[data-act=suggest]").wait_for()
        if not page.locator("[data-zone]").count():
            page.locator("[data-act=suggest]").click()
        page.locator("[data-zone]").first.click(timeout=60_000)
        self.keep(page, "zones")

    def plan(self) -> None:
        """A plan for a budget; made where there is none."""
        page = self.open("lang=en&view=renewal&tab=plan", theme="light")
        page.locator("#side .plans, #side .empty").first.wait_for()
        if not page.locator("[data-plan]").count():
            page.locator("#side form .primary").click()
        page.locator("#side .figures-of-plan dd").first.wait_for(timeout=PATIENCE_MS)
        page.wait_for_timeout(1500)  # the map is on its way
        self.keep(page, "plan")

    def report(self) -> None:
        """The shift's report, with its hand-over."""
        page = self.open("lang=zh&view=report", theme="light", size=(1440, 1180))
        page.locator(".handover-form").wait_for(timeout=60_000)
        if not page.locator("[data-handover]").count():
            page.fill("[name=handover]", HANDOVER.format(place=self.place, crew=CREW))
            page.locator("[data-act=hand-over]").click()
        page.locator("[data-handover]").first.wait_for()
        self.keep(page, "report")

    def user(self) -> None:
        """What somebody may do, and where."""
        page = self.open("lang=zh&view=admin&tab=users")
        page.locator("[data-act=add-user]").click()
        page.fill("dialog [name=name]", "li.wei")
        page.select_option("dialog [name=role]", "operator")
        page.check("dialog [name=networks][value=gas]")
        page.locator("dialog fieldset").nth(1).wait_for()
        self.keep(page, "user")

    def whatif(self) -> None:
        page = self.open("lang=en&view=renewal&tab=ranking")
        page.locator(".rank").first.click(timeout=30_000)
        page.locator("#panel header").wait_for()
        page.wait_for_timeout(1500)  # the map is on its way
        page.keyboard.press("Escape")
        page.locator("#side .tab").nth(2).click()
        page.locator(".hint").wait_for()
        page.wait_for_timeout(500)
        box = page.locator("#map").bounding_box() or {"x": 0, "y": 0, "width": 0, "height": 0}
        with page.expect_response("**/risk/what-if"):
            page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.keep(page, "what-if")


def main() -> int:
    """Every picture, or those named as arguments; 0 where all were made."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with place() as (url, key), sync_playwright() as playwright:
        chromium = shutil.which("chromium-headless-shell") or shutil.which("chromium")  # one of both: `scripts/clients`
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        take(Camera(browser, url, key), set(sys.argv[1:]))
        browser.close()
    return 0


def take(camera: Camera, only: set[str]) -> None:
    """Every picture, or those that are named."""
    pictures: dict[str, Callable[[], None]] = {
        "page": lambda: camera.incident("page", "en", whole=True, theme="light", size=(1780, 1000)),
        "incident": lambda: camera.incident("incident", "zh"),
        "field": camera.field,
        "phone": lambda: camera.incident("phone", "zh", size=PHONE),
        "asset": lambda: camera.view("asset", "lang=zh&asset=D-P-083&span=7d", "#panel .closing"),
        "time": camera.replay,
        "renewal": lambda: camera.view("renewal", "lang=zh&view=renewal&tab=ranking", ".rank"),
        "what-if": camera.whatif,
        "list": camera.several,
        "stress": camera.stress,
        "zones": camera.zones,
        "plan": camera.plan,
        "report": camera.report,
        "administration": lambda: camera.view("administration", "lang=en&view=admin", ".figure"),
        "rules": lambda: camera.view("rules", "lang=zh&view=admin&tab=rules", ".plain-table"),
        "user": camera.user,
        "audit": lambda: camera.view("audit", "lang=en&view=admin&tab=audit", ".audit tbody tr", theme="light"),
        "wall": lambda: camera.view("wall", "lang=zh", ".row, .calm", size=(2560, 1440)),
    }
    if unknown := only - pictures.keys():
        raise SystemExit(f"no such picture: {', '.join(sorted(unknown))}; there are {', '.join(pictures)}")
    camera.work()
    for name, picture in pictures.items():
        if not only or name in only:
            picture()


if __name__ == "__main__":
    sys.exit(main())
