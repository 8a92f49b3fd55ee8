from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edge.capture.pending import PendingCaptures
from edge.capture.request import CaptureFailure, CaptureResult
from edge.messages import CaptureKind
from tests.support.captures import START_NS, request, wall


class Reported:
    def __init__(self) -> None:
        self.results: list[CaptureResult] = []
        self.failures: list[CaptureFailure] = []
        self.pending = PendingCaptures(self.results.append, self.failures.append)


def result(kind: CaptureKind, *event_ids: str) -> CaptureResult:
    return CaptureResult(kind, "cam0", "person", event_ids, Path("f"), Path("s"), 1, 0)


def test_a_failure_names_the_first_event_and_lists_all() -> None:
    reported = Reported()
    for number, event in enumerate("abc"):
        reported.pending.add(request(START_NS + number, event, rule=f"rule-{event}"))
    reported.pending.fail("clip", ("b", "c"), "the disk is full")
    assert reported.failures == [
        CaptureFailure("clip", "cam0", "rule-b", ("b", "c"), "the disk is full", wall(START_NS + 1))
    ]


def test_an_event_without_an_open_request_is_not_reported() -> None:
    reported = Reported()
    reported.pending.add(request(START_NS, "a"))
    reported.pending.fail("still", ("a",), "it was not requested")
    reported.pending.fail("clip", ("b",), "it is unknown")
    assert not reported.pending.finish(result("still", "a"))
    assert (reported.results, reported.failures) == ([], [])


OUTCOMES = st.lists(
    st.tuples(
        st.sampled_from(["finish", "fail", "fail_all"]),
        st.sampled_from(["still", "clip"]),
        st.lists(st.sampled_from("abcd"), min_size=1, unique=True),
    )
)


@given(OUTCOMES)
def test_every_event_and_kind_has_exactly_one_outcome(outcomes) -> None:
    reported = Reported()
    for event in "abc":
        reported.pending.add(request(START_NS, event, actions=("still", "clip")))
    for action, kind, events in outcomes:
        if action == "finish":
            reported.pending.finish(result(kind, *events))
        elif action == "fail":
            reported.pending.fail(kind, events, "reason")
        else:
            reported.pending.fail_all("reason")
    reported.pending.fail_all("the end")
    failed = [(event, f.kind) for f in reported.failures for event in f.event_ids]
    finished = [(event, r.kind) for r in reported.results for event in r.event_ids]
    assert len(failed) == len(set(failed))
    assert {*failed, *finished} >= {(event, kind) for event in "abc" for kind in ("still", "clip")}
    assert not [event for event, _ in failed if event == "d"]
