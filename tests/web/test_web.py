"""`edge view` of a real daemon, over HTTP: pages, data, changes and refusals."""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from edge.config.load import load
from edge.web.access import Token
from edge.web.server import STATIC
from tests.support.commands import edge
from tests.support.viewing import CONFIGURATION, EDGE, Viewed, until, view, viewed

TOKEN = "correct-horse-battery-staple"
RULES = 'actions = ["still", "clip"]'


@pytest.fixture(scope="module")
def viewing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewed]:
    text = CONFIGURATION.replace('actions = ["still"]', RULES)
    with viewed(tmp_path_factory.mktemp("view"), text=text) as viewing:
        yield viewing


def test_the_page_and_all_its_parts_are_served(viewing: Viewed) -> None:
    status, headers, page = viewing.ask("GET", "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    named = re.findall(rb'(?:src|href)="([^"]+)"', page)
    assert len(named) >= 3
    for path in STATIC.iterdir():
        named += re.findall(rb'from "([^"]+)"', path.read_bytes())
    for address in named:
        status, headers, _ = viewing.ask("GET", address.decode())
        assert status == 200, address
        assert "charset" in headers["content-type"] or "svg" in headers["content-type"]


def test_the_page_loads_nothing_from_other_sites_and_its_parts_are_small() -> None:
    for path in STATIC.iterdir():
        text = path.read_text()
        others = [a for a in re.findall(r"(?:https?:)?//[\w.]+\.\w+", text) if "w3.org" not in a]
        assert not others, path
        assert len(text) < 20_000, path


def test_each_response_forbids_everything_that_the_page_does_not_need(viewing: Viewed) -> None:
    for path in ("/", "/static/main.js", "/api/frame", "/nowhere", "/captures/x/y"):
        headers = viewing.ask("GET", path)[1]
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers
    assert viewing.ask("GET", "/api/frame")[1]["cache-control"] == "no-store"
    script = viewing.ask("GET", "/static/main.js")[1]
    assert script["cache-control"] == "no-cache"  # an upgrade takes effect at once


def test_a_frame_is_a_picture_with_the_results_of_the_pipeline(viewing: Viewed) -> None:
    frame = viewing.json("GET", "/api/frame")
    jpeg = np.frombuffer(base64.b64decode(frame["picture"]), np.uint8)
    assert cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape == (480, 640, 3)
    sight = frame["snapshot"]["sight"]
    assert (sight["width"], sight["height"]) == (640, 480)


def test_many_open_pages_cost_no_more_than_one(viewing: Viewed) -> None:
    """The daemon's limit of commands is kept, so that no page is refused."""
    stamps: list[list[int]] = [[] for _ in range(4)]
    statuses = set()
    end_s = time.monotonic() + 2.0

    def look(received: list[int]) -> None:
        while time.monotonic() < end_s:
            status, _, data = viewing.ask("GET", "/api/frame")
            statuses.add(status)
            received.append(json.loads(data)["snapshot"]["timestamp_ns"])

    threads = [threading.Thread(target=look, args=(received,)) for received in stamps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == {200}
    different = {stamp for received in stamps for stamp in received}
    assert len(different) <= 8 * 2 + 2
    assert sum(map(len, stamps)) > 1.5 * len(different)


def test_the_status_is_that_of_the_daemon(viewing: Viewed) -> None:
    until(lambda: viewing.json("GET", "/api/status")["health"])
    assert viewing.json("GET", "/api/status")["camera"] == "gate"


def settings_of(viewing: Viewed) -> dict[str, object]:
    """The request of the page when nothing was changed."""
    read = viewing.json("GET", "/api/settings")
    return {
        "version": read["version"],
        "zones": [z | {"was": z["name"]} for z in read["zones"]],
        "masks": [{"polygon": mask, "was": n} for n, mask in enumerate(read["masks"])],
        "rules": [r | {"was": r["name"]} for r in read["rules"]],
        "motion": read["motion"],
    }


def test_settings_come_with_their_explanations(viewing: Viewed) -> None:
    read = viewing.json("GET", "/api/settings")
    assert read["file"] == str(viewing.file)
    assert [zone["name"] for zone in read["zones"]] == ["path"]
    assert read["rules"] == [{
        "name": "visitor", "labels": ["person"], "zones": [], "schedule": [],
        "actions": ["still", "clip"], "min_score": 0.5, "cooldown_s": 0.5,
    }]  # fmt: skip
    assert read["motion"]["sensitivity"] == 1.0
    floor = next(slider for slider in read["sliders"] if slider["key"] == "floor")
    assert (floor["default"], "least change" in floor["description"]) == (14.0, True)


def test_a_change_is_written_and_the_daemon_reloads(viewing: Viewed) -> None:
    change = settings_of(viewing) | {"motion": {"min_area": 0.001}}
    result = viewing.json("PUT", "/api/settings", change)
    assert result["taken_up"], result
    assert result["text"] == "the new configuration is in use; changed: motion"
    assert load(viewing.file).motion.min_area == 0.001
    assert "# tuned in spring" in viewing.file.read_text()
    until(lambda: viewing.ask("GET", "/api/frame")[0] == 200)
    again = viewing.json("PUT", "/api/settings", settings_of(viewing))
    assert again["text"] == "the configuration has not changed"


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        ({"motion": {"floor": 300}}, 422, "motion.floor: 300.0 found"),
        ({"zones": [{"name": "no spaces", "polygon": [[0, 0], [1, 0], [1, 1]]}]}, 422, "zones[0]"),
        ({"version": "0" * 16}, 409, "has been changed since the page read it"),
        ({"motion": {"floor": "high"}}, 400, "Expected `float`"),
        ({"colour": "red"}, 400, "unknown field `colour`"),
        (b"{", 400, "truncated"),
        (b'"\xff"', 400, ""),
        (b" " * 300_000, 413, "more than"),
    ],
)
def test_a_bad_change_is_refused_and_the_file_stays(
    viewing: Viewed, body: object, status: int, problem: str
) -> None:
    before = viewing.file.read_bytes()
    sent = settings_of(viewing) | body if isinstance(body, dict) else body
    received, _, data = viewing.ask("PUT", "/api/settings", sent)
    assert (received, problem in " ".join(json.loads(data)["problems"])) == (status, True), data
    assert viewing.file.read_bytes() == before


def listed(viewing: Viewed) -> list[dict[str, Any]]:
    return list(viewing.json("GET", "/api/captures?count=50"))


def test_captures_are_listed_and_their_files_served(viewing: Viewed) -> None:
    viewing.json("POST", "/api/capture", {})
    until(lambda: any(c["rule"] == "command" for c in listed(viewing)))
    until(lambda: any(c["clip"] for c in listed(viewing)))
    captures = listed(viewing)
    assert [c["id"] for c in captures] == sorted((c["id"] for c in captures), reverse=True)
    with_clip = next(c for c in captures if c["clip"])
    assert (with_clip["label"], with_clip["rule"]) == ("person", "visitor")
    older = viewing.json("GET", f"/api/captures?count=50&before={captures[0]['id']}")
    assert [c["id"] for c in older] == [c["id"] for c in captures[1:]]
    still = next(c["still"] for c in captures if c["still"])
    status, headers, data = viewing.ask("GET", f"/captures/{still}")
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert data == (viewing.captures / still).read_bytes()


def test_sidecars_that_can_not_be_read_are_counted(viewing: Viewed) -> None:
    until(lambda: listed(viewing))
    folder = (viewing.captures / listed(viewing)[0]["id"]).parent
    damaged = folder / "235959.999_damaged.json"
    damaged.write_text("[" * 5000)
    count = len(listed(viewing))
    assert viewing.json("GET", "/api/captures/unreadable") == {"count": 1}
    damaged.unlink()
    assert len(listed(viewing)) >= count
    assert viewing.json("GET", "/api/captures/unreadable") == {"count": 0}


def test_a_part_of_a_clip_is_served_as_browsers_request_it(viewing: Viewed) -> None:
    until(lambda: any(c["clip"] for c in listed(viewing)))
    captures = listed(viewing)
    clip = next(c["clip"] for c in captures if c["clip"])
    whole = (viewing.captures / clip).read_bytes()
    status, headers, part = viewing.ask("GET", f"/captures/{clip}", Range="bytes=100-199")
    assert (status, headers["content-type"]) == (206, "video/mp4")
    assert headers["content-range"] == f"bytes 100-199/{len(whole)}"
    assert part == whole[100:200]
    with av.open(str(viewing.captures / clip)) as container:
        assert container.streams.video[0].codec.name == "h264"


@pytest.mark.parametrize(
    "path",
    [
        "/captures/../edge.toml",
        "/captures/../../../../../etc/passwd",
        "/captures/%2e%2e/edge.toml",
        "/captures/%2e%2e%2f%2e%2e/edge.toml",
        "/captures/2026-01-01/..%2f..%2f..%2fedge.toml",
        "/captures/2026-01-01/%2e%2e",
        "/captures//etc/passwd",
        "/captures/2026-01-01/a%00.jpg",
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/static//etc/passwd",
        "/static/",
        "/edge.toml",
    ],
)
def test_no_other_file_is_served(viewing: Viewed, path: str) -> None:
    status, _, data = viewing.ask("GET", path)
    assert status == 404
    assert b"camera" not in data
    assert b"root:" not in data


@pytest.mark.parametrize("count", ["0", "101", "-1", "x", "%C2%B2", ""])
def test_an_invalid_count_is_refused(viewing: Viewed, count: str) -> None:
    assert viewing.ask("GET", f"/api/captures?count={count}")[0] == 400


FOREIGN = (
    {"Host": "evil.example"},
    {"Host": "evil.example:8080", "Origin": "http://evil.example:8080"},  # DNS rebinding
    {"Host": "127.0.0.1.evil.example"},
    {"Host": "10.0.0.7"},
    {"Host": ""},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://["},  # no valid address
    {"Origin": "http://127.0.0.1:1"},  # another program of this machine
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
)


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_page_of_another_site_reads_nothing_and_changes_nothing(
    viewing: Viewed, headers: dict[str, str]
) -> None:
    before = viewing.file.read_bytes()
    change = settings_of(viewing) | {"zones": []}
    viewing.json("POST", "/api/capture", {})
    until(lambda: any(viewing.captures.rglob("*.jpg")))
    still = next(viewing.captures.rglob("*.jpg")).relative_to(viewing.captures)
    for method, path, body in (
        ("GET", "/api/frame", None),
        ("GET", f"/captures/{still}", None),
        ("POST", "/api/capture", {}),
        ("PUT", "/api/settings", change),
    ):
        assert viewing.ask(method, path, body, **headers)[0] == 403
    assert viewing.file.read_bytes() == before


def test_a_form_of_another_site_cannot_pretend_to_be_json(viewing: Viewed) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert viewing.ask("POST", "/api/capture", {}, Content_Type=kind)[0] == 415


def test_every_loopback_name_is_admitted(viewing: Viewed) -> None:
    for host in ("localhost", "localhost:8080", "127.0.0.1:9", "127.0.0.2", "[::1]:80"):
        origin = f"http://{host}"
        assert viewing.ask("GET", "/api/settings", Host=host, Origin=origin)[0] == 200
    assert viewing.ask("GET", "/", Sec_Fetch_Site="cross-site")[0] == 200  # a link to the page


@pytest.fixture(scope="module")
def locked(viewing: Viewed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewed]:
    """Another view of the same daemon, with a token."""
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    folder = viewing.file.parent
    with view(folder, "--token-file", str(file)) as port:
        yield Viewed(folder, port)


def test_without_the_token_only_the_page_is_served(locked: Viewed) -> None:
    for path in ("/", "/static/main.js", "/static/style.css"):
        assert locked.ask("GET", path)[0] == 200
    for method, path in (
        ("GET", "/api/frame"), ("GET", "/api/settings"), ("PUT", "/api/settings"),
        ("POST", "/api/capture"), ("GET", "/api/captures"), ("GET", "/captures/2026-01-01/a.jpg"),
        ("GET", "/api/login/../frame"), ("GET", "/nowhere"), ("GET", "//api/frame"),
    ):  # fmt: skip
        body: dict[str, object] | None = {} if method != "GET" else None
        assert locked.ask(method, path, body)[0] == 401, path


def test_the_token_as_bearer_is_admitted_and_another_is_not(locked: Viewed) -> None:
    def status(text: str) -> int:
        return locked.ask("GET", "/api/settings", Authorization=text)[0]

    assert status(f"Bearer {TOKEN}") == 200
    assert status(f"bearer {TOKEN}") == 200
    for wrong in (
        "Bearer",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        "Bearer é",
    ):
        assert status(wrong) == 401


def test_the_token_is_exchanged_for_a_cookie_that_does_not_contain_it(locked: Viewed) -> None:
    for wrong in ({"token": "nonsense"}, {"token": ""}, {}):
        status, headers, _ = locked.ask("POST", "/api/login", wrong)
        assert (status, "set-cookie" in headers) == (401, False)
    status, headers, _ = locked.ask("POST", "/api/login", {"token": TOKEN})
    assert status == 200
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    assert TOKEN not in cookie
    assert locked.ask("GET", "/api/settings", Cookie=cookie)[0] == 200
    others = f'a={{"b":[1]}}; =; c; {cookie}; d=\xfc'  # of other programs of this machine
    assert locked.ask("GET", "/api/settings", Cookie=others)[0] == 200
    assert locked.ask("GET", "/api/settings", Cookie=cookie[:-1])[0] == 401
    assert locked.ask("GET", "/api/settings", Cookie=f"{cookie.split('=')[0]}=é")[0] == 401
    foreign = locked.ask("GET", "/api/settings", Cookie=cookie, Origin="http://evil.example")
    assert foreign[0] == 403


def test_with_a_token_every_name_of_the_machine_is_admitted(locked: Viewed) -> None:
    bearer = f"Bearer {TOKEN}"
    assert locked.ask("GET", "/api/settings", Host="pi.local:80", Authorization=bearer)[0] == 200


def test_over_https_the_cookie_is_never_sent_unencrypted() -> None:
    assert Token(TOKEN, 1).set_cookie("https").endswith("; Secure")
    assert "Secure" not in Token(TOKEN, 1).set_cookie("http")


def test_without_a_daemon_the_page_reports_it_and_saving_works(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text(CONFIGURATION)
    with view(tmp_path) as port:
        alone = Viewed(tmp_path, port)
        status, _, data = alone.ask("GET", "/api/frame")
        assert (status, b"no answer from" in data) == (503, True)
        result = alone.json("PUT", "/api/settings", settings_of(alone) | {"zones": []})
        assert (result["taken_up"], "no answer from" in result["text"]) == (False, True)
    assert load(tmp_path / "edge.toml").zones == ()


def test_it_ends_soon_even_while_requests_wait_for_a_daemon(tmp_path: Path) -> None:
    """These requests receive a response."""
    (tmp_path / "edge.toml").write_text(CONFIGURATION)
    statuses: list[int] = []
    with view(tmp_path) as port:
        alone = Viewed(tmp_path, port)
        paths = ["/api/frame", "/api/frame", "/api/status", "/api/status"]
        waiting = [
            threading.Thread(target=lambda path=path: statuses.append(alone.ask("GET", path)[0]))
            for path in paths
        ]
        for thread in waiting:
            thread.start()
        time.sleep(0.5)  # all requests have arrived by then
        start_s = time.monotonic()
    assert time.monotonic() - start_s < 8
    for thread in waiting:
        thread.join()
    assert statuses == [503] * 4


def test_without_a_file_the_settings_cannot_be_edited(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [*EDGE, "view", "--listen", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        status, _, data = Viewed(tmp_path, port).ask("GET", "/api/settings")
        process.terminate()
    assert process.returncode == 0
    assert (status, b"edge view --config FILE" in data) == (422, True)


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["--listen", "0.0.0.0:0"], 2, "a token is needed: --token-file FILE"),
        (["--listen", "[::]:0"], 2, "a token is needed"),
        (["--listen", "pi.local:0"], 2, "a token is needed"),
        (["--listen", "nonsense"], 2, "write HOST:PORT"),
        (["--listen", "127.0.0.1:99999"], 2, "write HOST:PORT"),
        (["--set", "bus.control=none"], 2, "give --endpoint"),
        (["--config", "/nowhere.toml"], 2, "No such file"),
        (["--key", "/nowhere"], 2, "belong together"),
        (["--token-file", "open"], 2, "chmod 600 open"),
        (["--token-file", "short"], 2, "16 characters or more"),
        (["--token-file", "/nowhere/token"], 2, "token file /nowhere/token: No such file"),
    ],
)
def test_an_error_is_one_sentence(
    arguments: list[str], code: int, problem: str, tmp_path: Path
) -> None:
    (tmp_path / "open").write_text(TOKEN)
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "short").write_text("secret")
    (tmp_path / "short").chmod(0o600)
    done = edge("view", *arguments, folder=tmp_path)
    assert (done.returncode, problem in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_reported(viewing: Viewed, tmp_path: Path) -> None:
    command = [*EDGE, "view", "--listen", f"127.0.0.1:{viewing.port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=tmp_path)
    assert (done.returncode, "Address already in use" in done.stderr) == (1, True), done.stderr


def test_a_token_file_is_created_that_only_its_owner_can_read(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text(CONFIGURATION)
    file = tmp_path / "token"
    with view(tmp_path, "--token-file", str(file)) as port:
        token = file.read_text().strip()
        alone = Viewed(tmp_path, port)
        assert alone.ask("GET", "/api/settings")[0] == 401
        assert alone.ask("GET", "/api/settings", Authorization=f"Bearer {token}")[0] == 200
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(token) >= 32
