"""A headless Chromium, controlled by the DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--remote-debugging-port=0",
    # A process for the pictures, and a new one for each page that is opened, cost a third of the
    # time of all tests in a browser.
    "--in-process-gpu", "--disable-software-rasterizer",
    "--disable-features=SpareRendererForSitePerProcess,IsolateOrigins,site-per-process,"
    "BackForwardCache,Translate,MediaRouter,OptimizationHints",
)  # fmt: skip
LIVE = "document.getElementById('state').dataset.state === 'live'"
START_S = 30.0
WAIT_S = 20.0
STILL_MS = 100  # an element that has not moved for so long is clicked where it is


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A page of a browser with a fresh profile in `folder`; skips where there is no browser."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("NO BROWSER: chromium is not installed, so no page was tested")
    profile = folder / "profile"
    with subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            with connect(
                _address(profile), max_size=None, ping_interval=None, close_timeout=0.2
            ) as connection:
                yield Page(connection)
        finally:
            process.terminate()


def _address(profile: Path) -> str:
    """Address of the browser's socket, from the file that it writes once it listens."""
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s:
        with contextlib.suppress(FileNotFoundError, ValueError):
            port, path = (profile / "DevToolsActivePort").read_text().splitlines()
            return f"ws://127.0.0.1:{port}{path}"
        time.sleep(0.05)
    raise AssertionError("the browser did not start")


class Page:
    """One tab. errors: of the console and of requests. requested: addresses of requests."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._ids = itertools.count(1)
        self._session: str | None = None
        self.errors: list[str] = []
        self.requested: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")
        self.size(1280, 800)

    def open(self, url: str) -> None:
        self._ask("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """Resizes the window; in CSS pixels."""
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone,
        )  # fmt: skip
        self._ask("Emulation.setTouchEmulationEnabled", enabled=phone)

    def dark(self, on: bool) -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if on else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])

    def run(self, script: str) -> Any:
        """Evaluates an expression, waits for a promise, and returns the value."""
        answer = self._ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, script: str, timeout_s: float = WAIT_S) -> Any:
        """Waits until an expression is true and returns its value."""
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s:
            if value := self.run(script):
                return value
            time.sleep(0.05)
        raise AssertionError(f"not true within {timeout_s:g} s: {script}")

    def text(self, selector: str) -> str:
        return str(self.run(f"document.querySelector({json.dumps(selector)}).textContent.trim()"))

    def centre(self, selector: str) -> tuple[float, float]:
        """Waits until an element is shown and stays where it is; its centre on the screen."""
        box = self.until(
            f"(async () => {{ const e = document.querySelector({json.dumps(selector)});"
            "if (!e) return null;"
            "e.scrollIntoView({block: 'center'});"
            "const centre = () => { const b = e.getBoundingClientRect();"
            "return b.width && [b.left + b.width / 2, b.top + b.height / 2]; };"
            "const before = centre();"
            f"await new Promise((done) => setTimeout(done, {STILL_MS}));"
            "const [x, y] = centre() || [];"
            "return before && before[0] === x && before[1] === y && before; })()"
        )
        return box[0], box[1]

    def click(self, target: str | tuple[float, float]) -> None:
        point = self.centre(target) if isinstance(target, str) else target
        self.drag(point, point)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drags with the mouse, with a movement between the two points."""
        self._mouse("mouseMoved", start)
        self._mouse("mousePressed", start)
        if start != end:
            self._mouse("mouseMoved", ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
            self._mouse("mouseMoved", end)
        self._mouse("mouseReleased", end)

    def tap(self, point: tuple[float, float]) -> None:
        """Taps with a finger."""
        touch = [{"x": point[0], "y": point[1]}]
        self._ask("Input.dispatchTouchEvent", type="touchStart", touchPoints=touch)
        self._ask("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def swipe(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Moves a finger from one point to another."""
        for kind, points in (("touchStart", [start]), ("touchMove", [end]), ("touchEnd", [])):
            touch = [{"x": x, "y": y} for x, y in points]
            self._ask("Input.dispatchTouchEvent", type=kind, touchPoints=touch)

    def key(self, key: str) -> None:
        code = {"Enter": 13, "Escape": 27, "Delete": 46, "ArrowLeft": 37, "ArrowRight": 39}[key]
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self._ask(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text
            )

    def fill(self, selector: str, text: str) -> None:
        """Replaces the content of a field by typing."""
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self.run(f"document.querySelector({json.dumps(selector)}).select()")
        self._ask("Input.insertText", text=text)

    def show(self, visible: bool) -> None:
        """Brings this tab to the front, or hides it behind another one."""
        if visible:
            self._ask("Page.bringToFront")
        else:
            session, self._session = self._session, None
            self._ask("Target.createTarget", url="about:blank", background=False)
            self._session = session

    def screenshot(self, file: Path, *, whole: bool = False) -> None:
        answer = self._ask("Page.captureScreenshot", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(answer["data"]))

    def _mouse(self, kind: str, point: tuple[float, float]) -> None:
        pressed = kind != "mouseMoved"
        self._ask(
            "Input.dispatchMouseEvent", type=kind, x=point[0], y=point[1],
            button="left" if pressed else "none", clickCount=int(pressed),
            buttons=int(kind != "mouseReleased"),
        )  # fmt: skip

    def _ask(self, method: str, **params: object) -> dict[str, Any]:
        number = self._send(method, **params)
        while True:
            message = json.loads(self._connection.recv(timeout=WAIT_S))
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return dict(message["result"])
            self._receive(message.get("method", ""), message.get("params", {}))

    def _send(self, method: str, **params: object) -> int:
        number = next(self._ids)
        message: dict[str, object] = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._connection.send(json.dumps(message))
        return number

    def _receive(self, method: str, params: dict[str, Any]) -> None:
        match method:
            case "Page.javascriptDialogOpening":  # unsaved changes are left behind
                self._send("Page.handleJavaScriptDialog", accept=True)
            case "Runtime.exceptionThrown":
                self.errors.append(str(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.errors.append(str(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            case "Network.requestWillBeSent":
                self.requested.append(params["request"]["url"])
