"""Pushes through Apprise to local servers, from a simulated camera and by the real command."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from edge.bridges.notify.address import Address, Push, addresses_of, keep_logs_private
from edge.bridges.notify.limit import Limit
from edge.bridges.notify.problems import SILENT, Problems
from edge.bridges.notify.push import TOPICS, Notifier, Receiver, receivers_of, text_of
from edge.bridges.notify.queue import KEPT, PICTURE_TRIES, PushQueue
from edge.bus.publisher import Publisher
from edge.client import Subscriber
from edge.commands.bridge import bridge
from edge.commands.config import config_group
from edge.config.load import load, loads
from edge.config.schema import Notify, Settings
from edge.errors import ConfigError
from edge.messages import Header, Health, Trigger
from tests.support.push_servers import PushServer, http_server, smtp_server

JPEG = b"\xff\xd8picture"
MIDNIGHT_NS = int(datetime(2026, 6, 1).astimezone().timestamp()) * 10**9
HOUR_NS = 3600 * 10**9


def until(condition: Callable[[], object], timeout_s: float = 20.0) -> bool:
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if condition():
            return True
        time.sleep(0.02)
    return False


def trigger(rule: str = "person", zones: tuple[str, ...] = ()) -> Trigger:
    header = Header(
        camera="cam0", boot_id="b", sequence=1, topic_sequence=1, timestamp_ns=1,
        wall_time=datetime(2026, 6, 1, 12, 30, 5, tzinfo=UTC),
    )  # fmt: skip
    return Trigger(
        header=header, event_id="e", rule=rule, zones=zones, track_id=1, label="person", score=0.87,
        box=(0, 0, 1, 1), box_px=(0, 0, 9, 9), frame_index=1, latency_ms=9.0, captures=(),
    )  # fmt: skip


def health(*problems: str, state: str = "running") -> Health:
    return Health(
        state=state, source="s", model="m", uptime_s=1, fps=9.5, frames=1, invocations=1,  # type: ignore[arg-type]
        invocations_per_s=1, inference_ms=1, tracks=0, triggers=0, captures=0, dropped={},
        rss_bytes=1, temperature_c=None, problems=problems,
    )  # fmt: skip


class Phone:
    """An address without a network. reasons: of the next failures; then pushes arrive."""

    label = "phone"

    def __init__(self, *reasons: str) -> None:
        self.reasons = list(reasons)
        self.pushes: list[Push] = []
        self.tried: list[Push] = []

    def send(self, push: Push) -> str:
        self.tried.append(push)
        if self.reasons:
            return self.reasons.pop(0)
        self.pushes.append(push)
        return ""


class Kept(PushQueue):
    """A queue that keeps what it gets."""

    def __init__(self) -> None:
        super().__init__(Phone())
        self.pushes: list[Push] = []

    def put(self, push: Push) -> None:
        self.pushes.append(push)


def receiver(**keys: object) -> tuple[Receiver, list[Push]]:
    queue = Kept()
    row = Notify(name="phone", url="ntfy://x", **keys)  # type: ignore[arg-type]
    return Receiver(row, "cam0", [queue], None), queue.pushes


def test_a_push_says_what_was_seen_where_and_when() -> None:
    at = datetime(2026, 6, 1, 12, 30, 5, tzinfo=UTC).astimezone()
    expected = f"person 87% in path, gate, {at:%H:%M:%S}, rule person"
    assert text_of(trigger(zones=("path", "gate"))) == expected
    one, pushes = receiver()
    one.trigger(trigger(), JPEG, MIDNIGHT_NS, 0.0)
    assert pushes == [Push("cam0: person", text_of(trigger()), JPEG)]
    bare, pushes = receiver(picture=False)
    bare.trigger(trigger(), JPEG, MIDNIGHT_NS, 0.0)
    assert pushes[0].jpeg is None


def test_a_limit_holds_the_interval_and_the_hour() -> None:
    limit = Limit(min_interval_s=10, per_hour=3)
    taken = [now for now in range(0, 7200, 5) if limit.take(now)]
    assert taken == [0, 10, 20, 3600, 3610, 3620]
    assert [now for now in range(3) if Limit(0, 5).take(now)] == [0, 1, 2]


def test_events_that_are_left_out_are_counted_in_the_next_push() -> None:
    one, pushes = receiver(min_interval_s=60)
    for now_s in (0, 5, 10, 15, 20, 61, 200):
        one.trigger(trigger(), None, MIDNIGHT_NS, now_s)
    ends = [push.text.partition("\n")[2] for push in pushes]
    assert ends == ["", "and 4 more since the last push", ""]


def test_only_the_rules_that_are_named_are_pushed() -> None:
    one, pushes = receiver(rules=("fox",), min_interval_s=0)
    one.trigger(trigger("person"), None, MIDNIGHT_NS, 0.0)
    assert pushes == []
    one.trigger(trigger("fox"), None, MIDNIGHT_NS, 1.0)
    assert len(pushes) == 1
    assert "more" not in pushes[0].text


def test_quiet_hours_end_with_a_count_and_with_the_problems_that_are_left() -> None:
    one, pushes = receiver(quiet=("22:00-06:00",), min_interval_s=0)
    one.trigger(trigger(), None, MIDNIGHT_NS + 2 * HOUR_NS, 0.0)
    one.problems({"dark": "the picture is black", "hot": "hot"}, MIDNIGHT_NS + 2 * HOUR_NS, 1.0)
    one.problems({"dark": "the picture is black"}, MIDNIGHT_NS + 3 * HOUR_NS, 2.0)
    assert pushes == []
    one.problems({"dark": "the picture is black"}, MIDNIGHT_NS + 6 * HOUR_NS, 3.0)
    one.trigger(trigger(), None, MIDNIGHT_NS + 7 * HOUR_NS, 4.0)
    assert [push.title for push in pushes] == ["cam0: problem", "cam0: person"]
    assert pushes[0].text == "the picture is black"
    assert pushes[1].text.endswith("\nand 1 more since the last push")


def test_a_problem_is_told_once_and_its_end_too() -> None:
    one, pushes = receiver()
    for now_s, settled in enumerate([{}, {"a": "A"}, {"a": "A"}, {"b": "B"}, {"b": "B"}, {}, {}]):
        one.problems(settled, MIDNIGHT_NS, now_s)
    found = [(push.title, push.text) for push in pushes]
    assert found == [
        ("cam0: problem", "A"),
        ("cam0: problem", "B\nover: A"),
        ("cam0: OK again", "over: B"),
    ]
    deaf, pushes = receiver(events=("triggers",))
    deaf.problems({"a": "A"}, MIDNIGHT_NS, 0.0)
    assert pushes == []


def settled_over_time(steps: dict[int, Health], last_s: int) -> list[tuple[int, list[str]]]:
    """The changes of the problems that have lasted, with health every 5 s unless it is given."""
    problems = Problems(interval_s=5, now_s=0)
    found: list[tuple[int, list[str]]] = []
    for now_s in range(last_s):
        if now_s in steps:
            problems.note(steps[now_s], now_s)
        problems.check(now_s)
        current = list(problems.settled.values())
        if current != (found[-1][1] if found else []):
            found.append((now_s, current))
    return found


def test_a_problem_must_last_and_may_change_its_numbers() -> None:
    steps = {now_s: health() for now_s in range(0, 200, 5)}
    steps[20] = health("a blink")
    for now_s in range(60, 120, 5):
        steps[now_s] = health(f"work is reduced to level {now_s // 10}: {now_s}.5 °C")
    found = settled_over_time(steps, 200)
    assert found == [(70, ["work is reduced to level 7: 70.5 °C"]), (130, [])]


def test_a_camera_without_health_is_silent_until_it_is_back() -> None:
    steps = {now_s: health() for now_s in [*range(0, 51, 5), *range(150, 200, 5)]}
    assert settled_over_time(steps, 200) == [(91, [SILENT]), (160, [])]
    assert settled_over_time({}, 100) == [(71, [SILENT])]


def test_a_short_stop_is_no_problem_and_does_not_end_one() -> None:
    steps = {now_s: health("the disk is full") for now_s in range(0, 50, 5)}
    steps[50] = health("the disk is full", state="stopping")
    steps |= {now_s: health(state="starting") for now_s in range(70, 100, 5)}
    steps |= {now_s: health("the disk is full") for now_s in range(100, 130, 5)}
    assert settled_over_time(steps, 130) == [(10, ["the disk is full"])]


@contextmanager
def running(phone: Phone) -> Iterator[PushQueue]:
    queue = PushQueue(phone, first_retry_s=0.01, pause_s=0.0)
    queue.start()
    try:
        yield queue
    finally:
        queue.stop(5)


def test_a_push_is_tried_until_it_is_delivered_in_order() -> None:
    phone = Phone("no network", "no network")
    with running(phone) as queue:
        for number in range(3):
            queue.put(Push(str(number), "", JPEG))
        assert until(lambda: len(phone.pushes) == 3)
    assert [push.title for push in phone.pushes] == ["0", "1", "2"]
    assert all(push.jpeg == JPEG for push in phone.pushes)
    assert len(phone.tried) == 5
    assert queue.away == ""


def test_a_picture_that_is_refused_is_left_out() -> None:
    phone = Phone(*["attachments are not allowed"] * PICTURE_TRIES)
    with running(phone) as queue:
        queue.put(Push("0", "", JPEG))
        assert until(lambda: phone.pushes)
    assert phone.pushes == [Push("0", "", None)]


def test_the_newest_are_kept_and_the_others_are_counted() -> None:
    phone = Phone()
    queue = PushQueue(phone, first_retry_s=0.01, pause_s=0.0)
    for number in range(KEPT + 7):
        queue.put(Push(str(number), "text"))
    phone.reasons = ["no network"]
    queue.start()
    assert until(lambda: len(phone.pushes) == KEPT)
    queue.stop(5)
    assert [push.title for push in phone.pushes] == [str(n) for n in range(7, KEPT + 7)]
    told = [push.text for push in phone.pushes if "dropped" in push.text]
    assert told == ["text\n7 earlier pushes were dropped while nothing could be delivered"]


def test_json_ntfy_and_mail_carry_text_and_picture() -> None:
    keep_logs_private()
    push = Push("cam0: person", "person 87 %\nand 4 more", JPEG)
    with http_server() as http, smtp_server() as (port, mails):
        for url in (
            f"json://user:pass@127.0.0.1:{http.port}/hook", f"ntfy://127.0.0.1:{http.port}/garden",
            f"mailto://127.0.0.1:{port}?from=a@example.org&to=b@example.org&mode=insecure",
        ):  # fmt: skip
            assert Address(url, "phone", "p").send(push) == "", url
    hook, topic = http.received
    body = json.loads(hook.body)
    assert (body["title"], body["message"]) == (push.title, push.text)
    assert body["attachments"][0]["mimetype"] == "image/jpeg"
    assert topic.path.startswith("/garden?")
    assert topic.body == JPEG
    assert "X-Icon" not in topic.headers  # phones would load it from another server
    assert "Subject: cam0: person" in mails[0]
    assert 'filename="picture.jpg"' in mails[0]


@pytest.mark.parametrize(
    "url",
    ["ntfy://user:hunter22@127.0.0.1:{port}/s3crettopic",
     "json://user:hunter22@127.0.0.1:{port}/s3crettopic?+X-Token=hunter22",
     "mailto://user:hunter22@127.0.0.1:{port}?from=a@example.org&to=s3crettopic@example.org&mode=insecure"],
)  # fmt: skip
def test_a_failure_has_a_reason_without_secrets(url: str) -> None:
    keep_logs_private()
    with http_server() as http:
        http.status = 403
        address, other = (Address(url.format(port=http.port), "phone", "p") for _ in range(2))
        refused = "403" if "mailto" in url else address.send(Push("t", "b"))
    reasons = [refused, other.send(Push("t", "b"))]  # now nobody listens there
    assert "403" in refused
    assert len(reasons[1]) > 10
    assert not re.search("hunter22|s3crettopic", " ".join([*reasons, address.label]))


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("ntfy://s3crettopic\n", 0o644, "every user can read these addresses: chmod 640"),
        ("# nothing\n\n", 0o600, "has 0 addresses"),
        ("ntfy://a/b\n" * 33, 0o600, "has 33 addresses"),
        ("ntfy://ab\ns3crettopic\n", 0o600, "urls:2: this is no address"),
        ("nosuch://s3crettopic\n", 0o600, "urls:1: Apprise can't use this address"),
        ("\udcff", 0o600, "not a text in UTF-8"),
    ],
)
def test_a_file_of_addresses_that_can_not_be_used(
    text: str, mode: int, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "urls"
    file.write_bytes(text.encode(errors="surrogateescape"))
    file.chmod(mode)
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        addresses_of(Notify(name="phone", url_file=str(file)), "notify[0]")
    assert "s3crettopic" not in str(caught.value)


def test_a_file_of_addresses(tmp_path: Path) -> None:
    file = tmp_path / "urls"
    file.write_text("# phones\nntfy://one\n\n  json://localhost/two  \n")
    file.chmod(0o640)
    found = addresses_of(Notify(name="phone", url_file=str(file)), "notify[0]")
    assert [address.label for address in found] == ["phone line 2 (ntfy)", "phone line 4 (json)"]
    with pytest.raises(ConfigError, match="could not be read"):
        addresses_of(Notify(name="phone", url_file=str(tmp_path / "none")), "notify[0]")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "a"', "give either url or url_file"),
        ('name = "a"\nurl = "ntfy://s3cret"\nurl_file = "f"', "give either url or url_file"),
        ('name = "a"\nurl = "s3cret"', r"url: \*\*\* found, expected a URL"),
        ('name = "a"\nurl = "ntfy://s3cret\\u0007"', r"url: \*\*\* found, expected text without"),
        ('name = "a"\nurl = ["ntfy://s3cret"]', r"url: \*\*\* found"),
        ('name = "a"\nurl = "ntfy://s3cret"\nrules = ["persn"]', "did you mean person"),
        ('name = "a"\nurl = "ntfy://s3cret"\nquiet = ["sunset-06:00"]', "needs the position"),
        ('name = "a"\nurl = "ntfy://s3cret"\nevents = ["problems"]\nrules = ["person"]',
         "no effect without"),
        ('name = "a"\nurl = "ntfy://s3cret"\n[[notify]]\nname = "a"\nurl = "ntfy://b"',
         "used twice"),
    ],
)  # fmt: skip
def test_settings_that_are_refused_without_showing_the_address(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        loads(f"[[notify]]\n{text}\n")
    assert "s3cret" not in str(caught.value)


def test_the_shown_configuration_hides_addresses(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('[[notify]]\nname = "a"\nurl = "ntfy://s3cret"\n')
    done = CliRunner().invoke(config_group, ["show", "-c", str(file)])
    assert done.exit_code == 0
    assert 'url = "***"' in done.output
    assert "s3cret" not in done.output


def test_addresses_are_few_over_all_sections(tmp_path: Path) -> None:
    file = tmp_path / "urls"
    file.write_text("ntfy://a/b\n" * 20)
    file.chmod(0o600)
    rows = "".join(f'[[notify]]\nname = "{n}"\nurl_file = "{file}"\n' for n in "ab")
    with pytest.raises(ConfigError, match="have 40 addresses, and at most 32"):
        receivers_of(loads(rows))


def config(tmp_path: Path, *urls: str, more: str = "") -> Path:
    secret = tmp_path / "urls"
    secret.write_text("\n".join(urls))
    secret.chmod(0o640)
    file = tmp_path / "edge.toml"
    file.write_text(
        f'[bus]\nendpoint = "ipc://{tmp_path}/e.ipc"\n[health]\ninterval_s = 0.1\n'
        f'[[notify]]\nname = "phone"\nurl_file = "{secret}"\nmin_interval_s = 0\n{more}'
    )
    return file


def test_the_test_push_says_what_happened_at_each_address(tmp_path: Path) -> None:
    with http_server() as http:
        urls = f"json://127.0.0.1:{http.port}/s3cret", "json://127.0.0.1:1/s3cret"
        done = CliRunner().invoke(
            bridge, ["notify", "--test", "-c", str(config(tmp_path, *urls))]
        )  # fmt: skip
    first, second = done.output.splitlines()[:2]
    assert first == "phone line 1 (json): delivered"
    assert second.startswith("phone line 2 (json): not delivered: ")
    assert "s3cret" not in done.output
    assert "1 of 2 addresses could not be reached" in str(done.exception)
    body = json.loads(http.received[0].body)
    assert body["title"] == "cam0: test"
    picture = Image.open(BytesIO(b64decode(body["attachments"][0]["base64"])))
    assert picture.size == (160, 90)


def test_without_a_section_one_sentence_says_what_to_add(tmp_path: Path) -> None:
    done = CliRunner().invoke(bridge, ["notify", "-c", os.devnull])
    assert isinstance(done.exception, ConfigError)
    assert "has no [[notify]] section" in str(done.exception)


@contextmanager
def bridge_process(file: Path) -> Iterator[subprocess.Popen[str]]:
    """The command as a service runs it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edge.cli", "bridge", "notify", "--config", str(file)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Camera:
    """A simulated daemon: its bus, and nothing behind it."""

    def __init__(self, folder: Path, name: str = "cam0") -> None:
        settings: Settings = loads(f'[bus]\nendpoint = "ipc://{folder}/e.ipc"')
        self._publisher = Publisher(settings.bus, name, "boot")
        self._publisher.start()

    def publish(self, message: Trigger | Health, jpeg: bytes | None = None) -> None:
        self._publisher.publish(message, time.monotonic_ns(), time.time_ns(), jpeg)

    def stop(self) -> None:
        self._publisher.stop()


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[Camera]:
    camera = Camera(tmp_path)
    yield camera
    camera.stop()


def titles(server: PushServer) -> list[str]:
    return [json.loads(one.body)["title"] for one in server.received]


def test_a_slow_address_delays_no_other_and_no_stop(tmp_path: Path, camera: Camera) -> None:
    """The whole way: bus, process, HTTP."""

    def arrived() -> bool:
        """Publishes again until a push arrives: the bridge may not have subscribed yet."""
        camera.publish(trigger(), JPEG)
        time.sleep(0.2)
        return bool(fast.received)

    with http_server() as fast, http_server() as slow:
        slow.hold.clear()
        urls = [f"json://127.0.0.1:{server.port}/s3cret?rto=0.5" for server in (slow, fast)]
        with bridge_process(config(tmp_path, *urls)) as process:
            assert until(arrived)
            assert until(lambda: slow.received)
            time.sleep(1)
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=15)
            assert process.returncode == 0, output
    body = json.loads(fast.received[0].body)
    assert body["title"] == "cam0: person"
    assert body["attachments"][0]["base64"]
    assert len(slow.received) <= 2  # it is tried again after a pause
    assert "phone line 1 (json): not delivered, it is tried again: " in output
    assert "s3cret" not in output
    assert "Traceback" not in output


def test_a_problem_its_end_and_a_dead_camera_are_pushed(tmp_path: Path, camera: Camera) -> None:
    """With a clock that runs 50 times as fast, as problems must last for 10 s."""
    with http_server() as http:
        url = f"json://127.0.0.1:{http.port}/"
        settings = load(config(tmp_path, url))
        with Subscriber(settings.bus.endpoint, TOPICS) as subscriber:
            receivers = receivers_of(settings)
            notifier = Notifier(settings, subscriber, receivers, lambda: 50 * time.monotonic())
            notifier.start()

            def pushed(count: int, *messages: Health) -> bool:
                for message in messages:
                    camera.publish(message)
                notifier.step()
                return len(http.received) >= count

            assert until(lambda: pushed(1, health("the disk is full")))
            assert until(lambda: pushed(2, health()))
            assert until(lambda: pushed(3))
            assert until(lambda: pushed(4, health()))
            notifier.stop()
    assert titles(http) == ["cam0: problem", "cam0: OK again"] * 2
    texts = [json.loads(one.body)["message"] for one in http.received]
    assert texts == ["the disk is full", "over: the disk is full", SILENT, f"over: {SILENT}"]


def test_another_camera_at_the_endpoint_is_an_error(tmp_path: Path) -> None:
    camera = Camera(tmp_path, "cam1")
    settings = load(config(tmp_path, "json://127.0.0.1:1/"))
    with Subscriber(settings.bus.endpoint, TOPICS) as subscriber:
        notifier = Notifier(settings, subscriber, receivers_of(settings))

        def stepped() -> bool:
            camera.publish(health())
            notifier.step()
            return False

        with pytest.raises(ConfigError, match="the daemon's camera is cam1"):
            until(stepped)
    camera.stop()
