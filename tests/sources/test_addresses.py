"""Addresses of every scheme, played from real servers on loopback."""

from __future__ import annotations

import functools
import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from edge.config.masking import masked
from edge.config.schema import SourceSettings
from edge.errors import SourceError, SourceLostError
from edge.sources import open_source
from edge.sources.kinds import Kind, kind_of
from edge.vision.types import Frame
from tests.sources.test_images import jpeg
from tests.sources.test_sources import video


@contextmanager
def served(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server, without a slash at its end."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files, without parts of files, as the standard library serves them."""

    def log_message(self, *_: object) -> None:
        pass


class Parts(Quiet):
    """Files and parts of files, as most servers do."""

    def do_GET(self) -> None:
        data = Path(self.translate_path(self.path)).read_bytes()
        wanted = self.headers.get("Range", "")
        first = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Accept-Ranges", "bytes")
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        self.wfile.write(data[first:])


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def played(uri: str, limit: int = 1000, stall_s: float = 5.0, **settings: object) -> list[Frame]:
    source = open_source(SourceSettings(uri=uri, **({"fast": True} | settings)), stall_s)  # type: ignore[arg-type]
    try:
        source.open()
        frames: list[Frame] = []
        while len(frames) < limit and (frame := source.read()) is not None:
            frames.append(frame)
        return frames
    finally:
        source.close()


def test_a_scheme_is_read_without_regard_to_case(tmp_path: Path) -> None:
    kinds = {
        "RTSP://cam/1": Kind.STREAM, "Http://cam/v": Kind.WEB, "UDP://:1": Kind.STREAM,
        "PiCamera2:0": Kind.PICAMERA2, "V4L2:/dev/video0": Kind.V4L2, "SYNTHETIC:walk": Kind.SCENE,
        "srt://cam:1": Kind.STREAM, "rtmp://cam/live": Kind.STREAM, "tcp://cam:1": Kind.STREAM,
        "rtp://cam:1": Kind.STREAM, "RTSPS://cam/": Kind.STREAM, f"FILE://{tmp_path}": Kind.IMAGES,
        "/dev/null": Kind.V4L2, "\0": Kind.VIDEO, "~nobody-here/x": Kind.VIDEO,
    }  # fmt: skip
    assert {uri: kind_of(uri) for uri in kinds} == kinds
    assert len(played("Synthetic:walk?duration=1&fps=5")) == 5


@pytest.mark.parametrize("form", ["file://{}", "FILE://{}", "file://localhost{}", "file:{}", "{}"])
def test_files_have_addresses_too(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "two words #1"
    folder.mkdir()
    path = video(folder / "clip 100 %.mp4", count=5)
    name = str(path)
    if form != "{}":
        name = name.replace("%", "%25").replace(" ", "%20").replace("#", "%23")
    assert len(played(form.format(name))) == 5


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("0", "a V4L2 camera is v4l2:/dev/video0"),
        (r"C:\videos\a.mp4", "a path of Windows does not exist here"),
        ("c:/videos/a.mp4", "a path of Windows does not exist here"),
        ("admin@10.0.0.7/live", "begins with rtsp:// or http://"),
        ("file://nas/video.mp4", "a file on another machine"),
        ("file:///nowhere.mp4", "there is no such file"),
        ("webrtc://cam/1", "neither a file nor one of"),
        ("\0", "there is no such file"),
        ("x" * 5000, "too long"),
        ("~nobody-here/x", "home"),
    ],
)
def test_an_address_that_cannot_be_is_one_sentence(uri: str, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence) as caught:
        open_source(SourceSettings(uri=uri))
    assert "\n" not in str(caught.value)


def test_a_protocol_that_ffmpeg_lacks_is_one_sentence() -> None:
    with pytest.raises(SourceError, match="the FFmpeg inside PyAV has no srt; use another") as lost:
        played("SRT://user:secret@127.0.0.1:9000")
    assert "secret" not in str(lost.value)


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "rtmp", "tcp", "http", "https", "RTMP"])
def test_a_port_where_nobody_listens_is_a_lost_source(scheme: str) -> None:
    with pytest.raises(SourceLostError, match="Connection refused") as lost:
        played(f"{scheme}://user:secret@127.0.0.1:{free_port()}/live")
    assert "secret" not in str(lost.value)


@pytest.mark.parametrize("scheme", ["udp", "rtp", "rtsp", "rtmp", "http", "tcp"])
def test_silence_does_not_last(scheme: str) -> None:
    """A port that takes a connection, or a bound UDP port, to which nothing is ever sent."""
    start_s = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        if scheme in ("udp", "rtp"):
            port = free_port(socket.SOCK_DGRAM)
        with pytest.raises(SourceLostError, match=r"no answer came within 0\.5 s"):
            played(f"{scheme}://127.0.0.1:{port}", stall_s=0.5)
    assert time.monotonic() - start_s < 4


def test_a_server_that_closes_the_connection_is_a_lost_source() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        with pytest.raises(SourceLostError, match=r"connection was closed|reset by peer"):
            played(f"rtsp://127.0.0.1:{server.getsockname()[1]}/live")
        thread.join()


@pytest.mark.parametrize("scheme", ["udp", "UDP", "rtp"])
def test_mpeg_ts_comes_over_udp(tmp_path: Path, scheme: str) -> None:
    port = free_port(socket.SOCK_DGRAM)
    ended = threading.Event()
    form = "rtp_mpegts" if scheme == "rtp" else "mpegts"
    sender = threading.Thread(
        target=_send, args=(tmp_path, f"{scheme.lower()}://127.0.0.1:{port}", form, ended)
    )
    sender.start()
    try:
        frames = played(f"{scheme}://127.0.0.1:{port}", limit=20, stall_s=10.0)
    finally:
        ended.set()
        sender.join()
    assert len(frames) == 20
    assert frames[0].main.width == 320


def _send(tmp_path: Path, to: str, form: str, ended: threading.Event) -> None:
    """Sends a video in MPEG-TS, ten times as fast as it is, again and again."""
    path = video(tmp_path / "v.mp4")
    with av.open(to, "w", format=form) as sink:
        shift = 0
        source = av.open(str(path))
        stream = sink.add_stream_from_template(source.streams.video[0])
        while not ended.is_set():
            source = av.open(str(path))
            for packet in source.demux(source.streams.video[0]):
                if packet.pts is None or packet.dts is None or ended.is_set():
                    continue
                packet.stream = stream
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                sink.mux(packet)
                time.sleep(0.01)
            shift += int(3 / packet.time_base)


def test_mpeg_ts_comes_over_tcp(tmp_path: Path) -> None:
    film = video(tmp_path / "v.ts", form="mpegts").read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def send() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(film)

        threading.Thread(target=send, daemon=True).start()
        assert len(played(f"TCP://127.0.0.1:{port}", limit=25)) == 25


@pytest.mark.parametrize("handler", [Quiet, Parts])
@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [("v.mp4", "libx264", "mp4"), ("v.mkv", "libx264", "matroska"), ("v.ts", "libx264", "mpegts"),
     ("v.avi", "mjpeg", "avi"), ("list.m3u8", "libx264", "hls")],
)  # fmt: skip
def test_a_file_on_the_web_is_a_recording_that_ends(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    handler: Callable[..., Quiet],
    name: str,
    codec: str,
    form: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    video(tmp_path / name, codec, pixels, form=form)
    serving = functools.partial(handler, directory=str(tmp_path))
    with served(serving) as address:  # type: ignore[arg-type]
        uri = f"HTTP://{address}/{name}"
        frames = played(uri)
        assert [frame.index for frame in frames] == list(range(30))
        assert len(played(uri, loop=True, limit=70)) == 70
        source = open_source(SourceSettings(uri=uri))
        assert not source.open().live
        source.close()


def test_a_long_mp4_plays_from_a_server_that_sends_no_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(1)
    with av.open(str(tmp_path / "v.mp4"), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuvj420p"
        for _ in range(6):
            pixels = noise.integers(0, 255, (720, 1280, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    assert (tmp_path / "v.mp4").stat().st_size > 1_000_000
    with served(Quiet) as address:
        assert len(played(f"http://{address}/v.mp4")) == 6


def test_a_recording_that_breaks_off_on_the_web_does_not_begin_again(tmp_path: Path) -> None:
    film = video(tmp_path / "v.ts", form="mpegts").read_bytes()

    class Breaking(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(film)))
            self.end_headers()
            self.wfile.write(film[: len(film) // 2])

    with served(Breaking) as address:
        source = open_source(SourceSettings(uri=f"http://{address}/v.ts", fast=True), 2.0)
        source.open()
        frames = 0
        try:
            while source.read() is not None:
                frames += 1
        except SourceError:
            pass  # FFmpeg reports a connection that ends early only at times
        source.close()
    assert 5 < frames < 30


@pytest.mark.parametrize("path", ["snapshot.jpg", "cgi-bin/snapshot.cgi?channel=1"])
def test_a_still_without_a_period_says_what_to_set(path: str) -> None:
    class Camera(Quiet):
        def do_GET(self) -> None:
            data = jpeg()
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with (
        served(Camera) as address,
        pytest.raises(SourceError, match=r"set source\.snapshot_every_s"),
    ):
        played(f"http://{address}/{path}")


@pytest.mark.parametrize(
    "uri",
    [
        "udp://user:secret@10.0.0.7:1", "rtmp://user:secret@cam/live", "srt://user:secret@cam:1",
        "tcp://user:secret@cam:1", "rtp://user:secret@cam:1", "rtmp://cam/live?token=secret",
        "srt://cam:1?passphrase=secret", "user:secret@cam/live", "admin:sec/secret@cam:554/live",
        "rtsp:user:secret@cam/live", "rtsp:/user:secret@cam/live", "RTSPS://user:secret@cam/",
        "file://user:secret@nas/video.mp4", "webrtc://user:secret@cam/1",
    ],
)  # fmt: skip
def test_no_password_is_shown_for_any_scheme(uri: str) -> None:
    assert "secret" not in masked(uri)
    problem = ""
    try:
        open_source(SourceSettings(uri=uri))
    except SourceError as error:
        problem = str(error)
    assert "secret" not in problem
