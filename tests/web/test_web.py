"""`edge view` of a real daemon, over HTTP: what it gives, what it takes, and whom it refuses."""

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

import av
import cv2
import numpy as np
import pytest

from edge.config.load import load
from edge.web.access import Token
from edge.web.server import STATIC
from tests.support.viewing import CONFIGURATION, EDGE, Viewed, until, view, viewed

TOKEN = "correct-horse-battery-staple"
RULES = 'actions = ["still", "clip"]'


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewed]:
    text = CONFIGURATION.replace('actions = ["still"]', RULES)
    with viewed(tmp_path_factory.mktemp("view"), text=text) as there:
        yield there


def test_the_page_and_all_its_parts_are_served(there: Viewed) -> None:
    status, headers, page = there.ask("GET", "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    named = re.findall(rb'(?:src|href)="([^"]+)"', page)
    assert len(named) >= 3
    for path in STATIC.iterdir():
        named += re.findall(rb'from "([^"]+)"', path.read_bytes())
    for address in named:
        status, headers, _ = there.ask("GET", address.decode())
        assert status == 200, address
        assert "charset" in headers["content-type"] or "svg" in headers["content-type"]


def test_nothing_comes_from_elsewhere_and_all_parts_are_small() -> None:
    for path in STATIC.iterdir():
        text = path.read_text()
        elsewhere = [a for a in re.findall(r"(?:https?:)?//[\w.]+\.\w+", text) if "w3.org" not in a]
        assert not elsewhere, path
        assert len(text) < 20_000, path


def test_each_answer_forbids_what_the_page_does_not_need(there: Viewed) -> None:
    for path in ("/", "/static/main.js", "/api/frame", "/nowhere", "/captures/x/y"):
        headers = there.ask("GET", path)[1]
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers
    assert there.ask("GET", "/api/frame")[1]["cache-control"] == "no-store"
    assert there.ask("GET", "/static/main.js")[1]["cache-control"] == "no-cache"  # after an upgrade


def test_a_frame_is_a_picture_and_what_was_seen_in_it(there: Viewed) -> None:
    told = there.json("GET", "/api/frame")
    jpeg = np.frombuffer(base64.b64decode(told["picture"]), np.uint8)
    assert cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape == (480, 640, 3)
    assert (told["snapshot"]["sight"]["width"], told["snapshot"]["sight"]["height"]) == (640, 480)


def test_many_who_look_cost_no_more_than_one(there: Viewed) -> None:
    """And the daemon's limit of commands is kept, so that nobody is refused."""
    stamps: list[list[int]] = [[] for _ in range(4)]
    statuses = set()
    end_s = time.monotonic() + 2.0

    def look(own: list[int]) -> None:
        while time.monotonic() < end_s:
            status, _, told = there.ask("GET", "/api/frame")
            statuses.add(status)
            own.append(json.loads(told)["snapshot"]["timestamp_ns"])

    threads = [threading.Thread(target=look, args=(own,)) for own in stamps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == {200}
    different = {stamp for own in stamps for stamp in own}
    assert len(different) <= 8 * 2 + 2
    assert sum(map(len, stamps)) > 1.5 * len(different)


def test_the_state_is_the_daemon_s(there: Viewed) -> None:
    until(lambda: there.json("GET", "/api/status")["health"])
    assert there.json("GET", "/api/status")["camera"] == "gate"


def settings_of(there: Viewed) -> dict[str, object]:
    """What the page sends when nothing was changed."""
    told = there.json("GET", "/api/settings")
    return {
        "version": told["version"],
        "zones": [z | {"was": z["name"]} for z in told["zones"]],
        "masks": [{"polygon": mask, "was": n} for n, mask in enumerate(told["masks"])],
        "rules": [{"name": r["name"], "zones": r["zones"]} for r in told["rules"]],
        "motion": told["motion"],
    }


def test_settings_are_told_with_their_explanations(there: Viewed) -> None:
    told = there.json("GET", "/api/settings")
    assert told["file"] == str(there.file)
    assert [zone["name"] for zone in told["zones"]] == ["path"]
    assert told["rules"] == [{"name": "visitor", "labels": ["person"], "zones": []}]
    assert told["motion"]["sensitivity"] == 1.0
    floor = next(slider for slider in told["sliders"] if slider["key"] == "floor")
    assert (floor["default"], "least change" in floor["description"]) == (14.0, True)


def test_a_change_is_written_and_taken_up(there: Viewed) -> None:
    asked = settings_of(there)
    asked["motion"] = {"min_area": 0.001}
    told = there.json("PUT", "/api/settings", asked)
    assert told["taken_up"], told
    assert told["text"] == "the new configuration is taken up; changed: motion"
    assert load(there.file).motion.min_area == 0.001
    assert "# tuned in spring" in there.file.read_text()
    until(lambda: there.ask("GET", "/api/frame")[0] == 200)
    again = there.json("PUT", "/api/settings", settings_of(there))
    assert again["text"] == "nothing has changed in the configuration"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"motion": {"floor": 300}}, 422, "motion.floor: 300.0 found"),
        ({"zones": [{"name": "no spaces", "polygon": [[0, 0], [1, 0], [1, 1]]}]}, 422, "zones[0]"),
        ({"version": "0" * 16}, 409, "changed by somebody else"),
        ({"motion": {"floor": "high"}}, 400, "Expected `float`"),
        ({"colour": "red"}, 400, "unknown field `colour`"),
        (b"{", 400, "truncated"),
        (b'"\xff"', 400, ""),
        (b" " * 300_000, 413, "more than"),
    ],
)
def test_a_bad_change_is_refused_and_the_file_stays(
    there: Viewed, body: object, status: int, said: str
) -> None:
    before = there.file.read_bytes()
    sent = settings_of(there) | body if isinstance(body, dict) else body
    answered, _, told = there.ask("PUT", "/api/settings", sent)
    assert (answered, said in " ".join(json.loads(told)["problems"])) == (status, True), told
    assert there.file.read_bytes() == before


def test_captures_are_listed_and_their_files_served(there: Viewed) -> None:
    there.json("POST", "/api/capture", {})
    until(lambda: any(c["rule"] == "command" for c in there.json("GET", "/api/captures?count=50")))
    until(lambda: any(c["clip"] for c in there.json("GET", "/api/captures?count=50")))
    told = there.json("GET", "/api/captures?count=50")
    assert [c["id"] for c in told] == sorted((c["id"] for c in told), reverse=True)
    shown = next(c for c in told if c["clip"])
    assert (shown["label"], shown["rule"]) == ("person", "visitor")
    older = there.json("GET", f"/api/captures?count=50&before={told[0]['id']}")
    assert [c["id"] for c in older] == [c["id"] for c in told[1:]]
    still = next(c["still"] for c in told if c["still"])
    status, headers, data = there.ask("GET", f"/captures/{still}")
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert data == (there.captures / still).read_bytes()


def test_a_part_of_a_clip_is_given_as_browsers_ask_for_it(there: Viewed) -> None:
    until(lambda: any(c["clip"] for c in there.json("GET", "/api/captures?count=50")))
    told = there.json("GET", "/api/captures?count=50")
    clip = next(c["clip"] for c in told if c["clip"])
    whole = (there.captures / clip).read_bytes()
    status, headers, part = there.ask("GET", f"/captures/{clip}", Range="bytes=100-199")
    assert (status, headers["content-type"]) == (206, "video/mp4")
    assert headers["content-range"] == f"bytes 100-199/{len(whole)}"
    assert part == whole[100:200]
    with av.open(str(there.captures / clip)) as container:
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
def test_no_other_file_is_given_out(there: Viewed, path: str) -> None:
    status, _, data = there.ask("GET", path)
    assert status == 404
    assert b"camera" not in data
    assert b"root:" not in data


@pytest.mark.parametrize("count", ["0", "101", "-1", "x", "%C2%B2", ""])
def test_a_senseless_count_is_refused(there: Viewed, count: str) -> None:
    assert there.ask("GET", f"/api/captures?count={count}")[0] == 400


FOREIGN = (
    {"Host": "evil.example"},
    {"Host": "evil.example:8080", "Origin": "http://evil.example:8080"},  # DNS rebinding
    {"Host": "127.0.0.1.evil.example"},
    {"Host": "10.0.0.7"},
    {"Host": ""},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},  # another program of this machine
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
)


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_page_from_elsewhere_gets_nothing_and_changes_nothing(
    there: Viewed, headers: dict[str, str]
) -> None:
    before = there.file.read_bytes()
    asked = settings_of(there) | {"zones": []}
    there.json("POST", "/api/capture", {})
    until(lambda: any(there.captures.rglob("*.jpg")))
    still = next(there.captures.rglob("*.jpg")).relative_to(there.captures)
    for method, path, body in (
        ("GET", "/api/frame", None),
        ("GET", f"/captures/{still}", None),
        ("POST", "/api/capture", {}),
        ("PUT", "/api/settings", asked),
    ):
        assert there.ask(method, path, body, **headers)[0] == 403
    assert there.file.read_bytes() == before


def test_a_form_from_elsewhere_can_not_pretend_to_be_json(there: Viewed) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert there.ask("POST", "/api/capture", {}, Content_Type=kind)[0] == 415


def test_this_machine_by_any_of_its_names_is_let_in(there: Viewed) -> None:
    for host in ("localhost", "localhost:8080", "127.0.0.1:9", "127.0.0.2", "[::1]:80"):
        origin = f"http://{host}"
        assert there.ask("GET", "/api/settings", Host=host, Origin=origin)[0] == 200
    assert there.ask("GET", "/", Sec_Fetch_Site="cross-site")[0] == 200  # a link to the page


@pytest.fixture(scope="module")
def locked(there: Viewed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewed]:
    """Another view of the same daemon, with a token."""
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    folder = there.file.parent
    with view(folder, "--token-file", str(file)) as port:
        yield Viewed(folder, port)


def test_without_the_token_there_is_a_page_and_nothing_else(locked: Viewed) -> None:
    for path in ("/", "/static/main.js", "/static/style.css"):
        assert locked.ask("GET", path)[0] == 200
    for method, path in (
        ("GET", "/api/frame"), ("GET", "/api/settings"), ("PUT", "/api/settings"),
        ("POST", "/api/capture"), ("GET", "/api/captures"), ("GET", "/captures/2026-01-01/a.jpg"),
        ("GET", "/api/login/../frame"), ("GET", "/nowhere"), ("GET", "//api/frame"),
    ):  # fmt: skip
        body = {} if method != "GET" else None
        assert locked.ask(method, path, body)[0] == 401, path


def test_the_token_as_bearer_lets_in_and_another_does_not(locked: Viewed) -> None:
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


def test_the_token_is_exchanged_for_a_cookie_that_does_not_tell_it(locked: Viewed) -> None:
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


def test_with_a_token_any_name_of_the_machine_will_do(locked: Viewed) -> None:
    bearer = f"Bearer {TOKEN}"
    assert locked.ask("GET", "/api/settings", Host="pi.local:80", Authorization=bearer)[0] == 200


def test_over_https_the_cookie_never_goes_in_the_clear() -> None:
    assert Token(TOKEN, 1).set_cookie("https").endswith("; Secure")
    assert "Secure" not in Token(TOKEN, 1).set_cookie("http")


def test_without_a_daemon_the_page_says_so_and_saving_works(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text(CONFIGURATION)
    with view(tmp_path) as port:
        alone = Viewed(tmp_path, port)
        status, _, told = alone.ask("GET", "/api/frame")
        assert (status, b"no answer from" in told) == (503, True)
        asked = settings_of(alone) | {"zones": []}
        told = alone.json("PUT", "/api/settings", asked)
        assert (told["taken_up"], "no answer from" in told["text"]) == (False, True)
    assert load(tmp_path / "edge.toml").zones == ()


def test_it_ends_soon_also_while_somebody_waits_for_a_daemon(tmp_path: Path) -> None:
    """And those are answered."""
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
        time.sleep(0.5)  # all have come in by then
        start_s = time.monotonic()
    assert time.monotonic() - start_s < 8
    for thread in waiting:
        thread.join()
    assert statuses == [503] * 4


def test_without_a_file_there_is_nothing_to_edit(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [*EDGE, "view", "--listen", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        status, _, told = Viewed(tmp_path, port).ask("GET", "/api/settings")
        process.terminate()
    assert process.returncode == 0
    assert (status, b"edge view --config FILE" in told) == (422, True)


def edge_view(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [*EDGE, "view", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=folder)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--listen", "0.0.0.0:0"], 2, "a token is needed: --token-file FILE"),
        (["--listen", "[::]:0"], 2, "a token is needed"),
        (["--listen", "pi.local:0"], 2, "a token is needed"),
        (["--listen", "nonsense"], 2, "write HOST:PORT"),
        (["--listen", "127.0.0.1:99999"], 2, "write HOST:PORT"),
        (["--set", "bus.control=none"], 2, "say --endpoint"),
        (["--config", "/nowhere.toml"], 2, "No such file"),
        (["--key", "/nowhere"], 2, "belong together"),
        (["--token-file", "open"], 2, "chmod 600 open"),
        (["--token-file", "short"], 2, "16 characters or more"),
        (["--token-file", "/nowhere/token"], 2, "token file /nowhere/token: No such file"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    arguments: list[str], code: int, said: str, tmp_path: Path
) -> None:
    (tmp_path / "open").write_text(TOKEN)
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "short").write_text("secret")
    (tmp_path / "short").chmod(0o600)
    done = edge_view(*arguments, folder=tmp_path)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_told(there: Viewed, tmp_path: Path) -> None:
    done = edge_view("--listen", f"127.0.0.1:{there.port}", folder=tmp_path)
    assert (done.returncode, "Address already in use" in done.stderr) == (1, True), done.stderr


def test_a_token_is_made_where_there_is_none_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text(CONFIGURATION)
    file = tmp_path / "token"
    with view(tmp_path, "--token-file", str(file)) as port:
        token = file.read_text().strip()
        alone = Viewed(tmp_path, port)
        assert alone.ask("GET", "/api/settings")[0] == 401
        assert alone.ask("GET", "/api/settings", Authorization=f"Bearer {token}")[0] == 200
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(token) >= 32
