"""Pictures of every view of the page for the README and the docs: `make screenshots`.

Looks at a running `lifeline demo` (LIFELINE_PAGE names another address, LIFELINE_KEY its key), waits until something
has happened there, and writes docs/images. A view that is not there after a while is an error, not an empty picture.
"""

import json
import os
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
FLAGS = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox", "--disable-background-networking"]
WIDE = (1440, 860)
PHONE = (390, 844)
PATIENCE_MS = 240_000


def place() -> tuple[str, str]:
    """Address and key of the page."""
    if "LIFELINE_PAGE" in os.environ:
        return os.environ["LIFELINE_PAGE"].rstrip("/"), os.environ["LIFELINE_KEY"]
    home = Path(os.environ.get("LIFELINE_HOME", Path.home() / ".local/share/lifeline")) / "demo"
    try:
        url = json.loads((home / "running.json").read_text(encoding="utf-8"))["url"]
        return url.rstrip("/"), (home / "secrets" / "demo.key").read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SystemExit(f"no demo runs in {home} ({error.strerror}): start `lifeline demo` first") from error


class Camera:
    """A browser before the page."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.url, self.key = place()

    def open(self, query: str, *, theme: str = "dark", size: tuple[int, int] = WIDE) -> Page:
        width, height = size
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="light" if theme == "light" else "dark"
        )
        page = context.new_page()
        page.goto(f"{self.url}/?{query}#key={self.key}")
        page.wait_for_selector("body[data-ready]", timeout=60_000)
        return page

    def keep(self, page: Page, name: str) -> None:
        page.wait_for_timeout(1800)
        page.screenshot(path=IMAGES / f"{name}.png", timeout=PATIENCE_MS)
        page.context.close()
        sys.stdout.write(f"docs/images/{name}.png\n")

    def incident(self, name: str, language: str, **how: object) -> None:
        """The worst incident, with its chart."""
        page = self.open(f"lang={language}", **how)  # type: ignore[arg-type]
        page.locator("#entries .row").first.wait_for(timeout=PATIENCE_MS)
        page.locator("#entries .row").first.click()
        page.locator("#panel .u-over").wait_for(timeout=30_000)
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
        self.keep(page, "time")

    def several(self) -> None:
        """Two things of the list chosen for one act."""
        page = self.open("lang=en")
        page.locator("#entries .choose").nth(1).wait_for(state="attached", timeout=PATIENCE_MS)
        for key in ("j", "x", "j", "x"):
            page.keyboard.press(key)
        page.locator("#bulk").wait_for()
        self.keep(page, "list")

    def zones(self) -> None:
        """A suggested zone with its corners; only where some wait (an engineer's key finds them)."""
        page = self.open("lang=zh&view=renewal&tab=zones", theme="light")
        page.locator("[data-zone]").nth(2).click(timeout=60_000)
        self.keep(page, "zones")

    def whatif(self) -> None:
        page = self.open("lang=en&view=renewal&tab=ranking")
        page.locator(".rank").first.click(timeout=30_000)
        page.wait_for_timeout(1500)
        page.keyboard.press("Escape")
        page.locator("#side .tab").nth(2).click()
        page.locator(".hint").wait_for()
        page.wait_for_timeout(500)
        box = page.locator("#map").bounding_box() or {"x": 0, "y": 0, "width": 0, "height": 0}
        middle = box["x"] + (box["width"] - 428) / 2 + 214, box["y"] + box["height"] / 2
        with page.expect_response("**/risk/what-if"):
            page.mouse.click(*middle)
        self.keep(page, "what-if")


def main() -> int:
    """Every picture; 0 where all were made."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        camera = Camera(browser)
        camera.incident("page", "en", theme="light", size=(1600, 900))
        camera.incident("incident", "zh")
        camera.incident("phone", "zh", size=PHONE)
        camera.view("asset", "lang=zh&asset=D-P-083&span=7d", "#panel .closing")
        camera.replay()
        camera.view("renewal", "lang=zh&view=renewal&tab=ranking", ".rank")
        camera.whatif()
        camera.several()
        camera.view("stress", "lang=en&view=renewal&tab=stress", "#side .figures-of-plan")
        camera.zones()
        camera.view("plan", "lang=en&view=renewal&tab=plan", "#side form", theme="light")
        camera.view("report", "lang=zh&view=report", ".figure", theme="light")
        camera.view("administration", "lang=en&view=admin", ".figure")
        camera.view("rules", "lang=zh&view=admin&tab=rules", ".plain-table")
        camera.view("wall", "lang=zh", ".row, .calm", size=(2560, 1440))
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
