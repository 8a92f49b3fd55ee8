"""Credentials in a source's address are shown nowhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.masking import masked
from edge.config.schema import SourceSettings

PLAIN = "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("rtsp://admin:s3cret@10.0.0.7/live", "rtsp://***@10.0.0.7/live"),
        ("RTSP://admin:s3cret@10.0.0.7:554/live", "RTSP://***@10.0.0.7:554/live"),
        ("http://admin@cam/x.jpg", "http://***@cam/x.jpg"),
        ("rtsp://admin:p@ss@cam/live", "rtsp://***@cam/live"),
        ("rtsp://admin:p/ss@cam/live", "rtsp://***@cam/live"),
        ("http://cam/x.cgi?user=admin&pwd=s3cret&channel=1",
         "http://cam/x.cgi?user=***&pwd=***&channel=1"),
        ("https://cam/x?access_token=s3cret#t", "https://cam/x?access_token=***#t"),
        ("rtsp://admin:p@/s?s#@cam/live", "rtsp://***@cam/live"),
        ("http://[fe80::1]:80/x.jpg", "http://[fe80::1]:80/x.jpg"),
        ("rtsp://cam:554/live@1", "rtsp://cam:554/live@1"),
        ("rtsp://cam/live@1", "rtsp://cam/live@1"),
        ("/home/user:x/a@b.mp4", "/home/user:x/a@b.mp4"),
        ("picamera2:0", "picamera2:0"),
        ("synthetic:people?fps=10&objects=2", "synthetic:people?fps=10&objects=2"),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_credentials(uri: str, shown: str) -> None:
    assert masked(uri) == shown
    assert SourceSettings(uri=uri).name == shown
    assert masked(shown) == shown


@given(
    scheme=st.sampled_from(["rtsp", "rtsps", "http", "HTTPS", "rtmp", "srt"]),
    user=st.text(PLAIN, min_size=1, max_size=8),
    password=st.text(PLAIN + "@:/?#!$%+-._~", min_size=1, max_size=12),
    port=st.sampled_from(["", ":554"]),
)
def test_no_password_survives(scheme: str, user: str, password: str, port: str) -> None:
    shown = masked(f"{scheme}://{user}:x{password}@camera{port}/live")
    assert shown == f"{scheme}://***@camera{port}/live"
