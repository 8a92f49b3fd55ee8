"""The sections of everything that other programs and devices connect to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from edge.config.schema.base import MAX_S, NO_LINE, GpioLine, PathText, Problem, Section, about
from edge.messages import CaptureKind


class BusSettings(Section, frozen=True):
    """ZeroMQ sockets: one publishes messages, the other receives commands."""

    endpoint: Annotated[
        str,
        Meta(pattern=r"\A(ipc|tcp|inproc)://.+\Z"),
        about(
            "address that publishes messages; tcp://HOST:PORT needs `keys`",
            title="ipc://PATH or tcp://HOST:PORT",
        ),
    ] = "ipc:///tmp/edge-cam0.ipc"
    control: Annotated[
        str,
        Meta(pattern=r"\A(auto|none|(ipc|tcp|inproc)://.+)\Z"),
        about(
            "address that receives commands; auto = `-control` after an ipc:// endpoint, "
            "otherwise none",
            title="auto, none, ipc://PATH or tcp://HOST:PORT",
        ),
    ] = "auto"
    keys: Annotated[
        PathText,
        about("folder made by `edge keys`; encrypts tcp:// and admits known clients only"),
    ] = ""
    high_water_mark: Annotated[
        int,
        Meta(ge=1, le=100_000),
        about("messages queued for a slow subscriber; later ones are lost"),
    ] = 1000
    linger_ms: Annotated[
        int,
        Meta(ge=0, le=60_000),
        about("longest wait for subscribers when the daemon ends"),
    ] = 1000
    insecure: Annotated[bool, about("allow tcp:// without encryption and authentication")] = False
    thumbnails: Annotated[bool, about("send a small JPEG of the object with trigger messages")] = (
        True
    )

    def problems(self) -> Iterator[Problem]:
        for key, address in (("endpoint", self.endpoint), ("control", self.control)):
            if address.startswith("tcp://") and not self.keys and not self.insecure:
                yield (
                    key,
                    "TCP is open to everybody who can reach it; set bus.keys (see `edge keys`), "
                    "or bus.insecure = true to allow this",
                )
        if self.keys and self.insecure:
            yield "insecure", "it contradicts bus.keys; remove one of them"
        if self.control == self.endpoint:
            yield "control", "it equals bus.endpoint; choose another address for commands"


class HookSettings(Section, frozen=True):
    """Programs that triggers run, and a GPIO line that captures."""

    exec_limit_s: Annotated[
        float, Meta(gt=0, le=3600), about("kill a program that runs longer than this")
    ] = 10.0
    exec_at_once: Annotated[
        int, Meta(ge=1, le=16), about("programs that may run at the same time")
    ] = 2
    exec_waiting: Annotated[
        int,
        Meta(ge=1, le=1000),
        about("events that may wait while other programs run; more are dropped"),
    ] = 16
    input_gpio: Annotated[
        GpioLine, about("GPIO line (BCM number) that captures when active; -1 = none")
    ] = NO_LINE
    input_pull: Annotated[
        Literal["up", "down", "none"],
        about("pull resistor of the line; up = active when grounded, otherwise when high"),
    ] = "up"
    input_bounce_s: Annotated[
        float, Meta(ge=0, le=10), about("ignore changes of the line that are shorter than this")
    ] = 0.01
    input_captures: Annotated[
        tuple[CaptureKind, ...],
        Meta(min_length=1, max_length=2),
        about("captures that the line makes"),
    ] = ("still",)


class MqttSettings(Section, frozen=True):
    """`edge bridge mqtt`: the broker and the messages for it."""

    host: Annotated[str, about("name or address of the broker")] = "localhost"
    port: Annotated[
        int, Meta(ge=0, le=65535), about("port of the broker; 0 = 1883, or 8883 with tls")
    ] = 0
    tls: Annotated[bool, about("encrypt, and check the broker's certificate")] = False
    ca_file: Annotated[
        PathText, about("certificate that signed the broker's; empty = the system's authorities")
    ] = ""
    cert_file: Annotated[PathText, about("client certificate, if the broker asks for one")] = ""
    key_file: Annotated[PathText, about("private key of the client certificate")] = ""
    username: Annotated[str, about("user name at the broker; empty = none")] = ""
    password_file: Annotated[PathText, about("file whose first line is the password")] = ""
    prefix: Annotated[
        str,
        Meta(pattern=r"\A[^#+$/]+(/[^#+/]+)*\Z"),
        about("topics begin with PREFIX/CAMERA/", title="topic without #, + or a leading $ or /"),
    ] = "edge"
    discovery: Annotated[
        str,
        Meta(pattern=r"\A[^#+]*\Z"),
        about("discovery prefix of Home Assistant; empty = none", title="topic without # or +"),
    ] = "homeassistant"
    off_delay_s: Annotated[
        float,
        Meta(ge=0, le=MAX_S),
        about("time for which a rule's occupancy stays on after its object is gone"),
    ] = 5.0
    scene_width_px: Annotated[
        int,
        Meta(ge=0, le=1920),
        about("largest width of the picture of a trigger's scene; 0 = none"),
    ] = 1280
    spool: Annotated[
        PathText,
        about("file for messages not yet confirmed by the broker; empty = beside the captures"),
    ] = ""
    spool_bytes: Annotated[
        int,
        Meta(ge=10_000, le=10**10),
        about("largest total size of these messages; the oldest are dropped"),
    ] = 10_000_000

    def problems(self) -> Iterator[Problem]:
        requirements = (
            ("password_file", self.password_file, "username", self.username),
            ("ca_file", self.ca_file, "tls = true", self.tls),
            ("cert_file", self.cert_file, "tls = true", self.tls),
            ("key_file", self.key_file, "cert_file", self.cert_file),
        )
        for key, value, required, present in requirements:
            if value and not present:
                yield key, f"it has no effect without {required}; add that, or remove this key"
