"""Edits of a configuration file: comments stay, and a wrong result is refused."""

from __future__ import annotations

import re
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from edge.config.edit import (
    Change,
    LineEdit,
    MaskEdit,
    RuleEdit,
    ZoneEdit,
    edited,
    with_mute,
    without_mutes,
)
from edge.config.explain import commented
from edge.config.load import loads
from edge.config.schema import MAX_ROWS, Mute
from edge.config.starter import Answers, starter
from edge.errors import ConfigError
from tests.support.viewing import CONFIGURATION

HERE = Path("edge.toml")
SQUARE = [(0.1, 0.2), (0.5, 0.2), (0.5, 0.6), (0.1, 0.6)]
TREE = [(0.0, 0.0), (0.2, 0.0), (0.2, 0.1)]
LEFT = [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]
PATH = ZoneEdit(name="path", was="path", polygon=LEFT)
MASK = MaskEdit(was=0, polygon=TREE)


def change(**parts: object) -> Change:
    return Change(**{"version": "", "zones": (PATH,), "masks": (MASK,)} | parts)  # type: ignore[arg-type]


def test_a_change_of_nothing_gives_the_same_text() -> None:
    assert edited(CONFIGURATION, change(), HERE) == CONFIGURATION


def test_each_change_touches_its_own_lines() -> None:
    moved = [(0.1, 0.0), *LEFT[1:]]
    new = edited(
        CONFIGURATION,
        change(
            zones=(
                ZoneEdit(name="walk", was="path", polygon=moved),
                ZoneEdit(name="door", polygon=SQUARE),
            ),
            masks=(MASK, MaskEdit(polygon=SQUARE)),
            rules=(RuleEdit(name="visitor", was="visitor", zones=("door",)),),
            motion={"floor": 20.0, "sensitivity": 1.5},
        ),
        HERE,
    )
    before, after = CONFIGURATION.splitlines(), new.splitlines()
    assert [line for line in before if line not in after] == [
        "#floor = 14.0",
        "sensitivity = 1.0  # tuned in spring",
        'name = "path"',
        "polygon = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]  # left half",
    ]
    assert [line for line in after if line not in before] == [
        "floor = 20.0",
        "sensitivity = 1.5  # tuned in spring",
        "  [[0.1, 0.2], [0.5, 0.2], [0.5, 0.6], [0.1, 0.6]],",
        'name = "walk"',
        "polygon = [[0.1, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]  # left half",
        'name = "door"',
        "polygon = [[0.1, 0.2], [0.5, 0.2], [0.5, 0.6], [0.1, 0.6]]",
        'zones = ["door"]',
    ]
    assert after.index("floor = 20.0") == before.index("#floor = 14.0")


def test_removed_zones_and_masks_go_and_the_rules_stay() -> None:
    new = loads(edited(CONFIGURATION, change(zones=(), masks=()), HERE))
    assert (new.zones, new.motion.masks) == ((), ())
    assert new.triggers == loads(CONFIGURATION).triggers


@pytest.mark.parametrize(
    "text",
    [
        "",
        "zones = []\ntriggers = [{name = 'a', labels = ['person']}]\n[motion]\nmasks = []\n",
        "motion.floor = 9.0 # dotted\n",
        "motion = {floor = 9.0}\nzones = [{name='z', polygon=[[0,0],[1,0],[1,1]]}] # inline\n",
        commented(),
        starter(Answers(source="synthetic:people", watch_for=("people", "dog"))),
        "[[zones]]\r\nname = 'z'\r\npolygon = [[0,0],[1,0],[1,1]] # windows\r\n",
        "[triggers_]\n".replace("[triggers_]", "[capture]") + "post_roll_s = 1.0",
    ],
    ids=["empty", "lists", "dotted", "inline", "commented", "init", "crlf", "no newline"],
)
def test_files_of_all_kinds_can_be_edited(text: str) -> None:
    before = loads(text)
    zones = tuple(ZoneEdit(name=z.name, was=z.name, polygon=list(z.polygon)) for z in before.zones)
    rule = before.triggers[0].name
    wanted = change(
        zones=(*zones, ZoneEdit(name="door", polygon=SQUARE)),
        masks=(MaskEdit(polygon=SQUARE),),
        rules=(
            RuleEdit(name=rule, was=rule, zones=("door",)),
            *(RuleEdit(name=r.name, was=r.name) for r in before.triggers[1:]),
        ),
        motion={"floor": 20.0},
    )
    new = edited(text, wanted, HERE)
    after = loads(new)
    assert [zone.name for zone in after.zones] == [*[zone.name for zone in before.zones], "door"]
    assert after.motion.masks == (tuple(SQUARE),)
    assert (after.motion.floor, after.triggers[0].zones) == (20.0, ("door",))
    assert after.triggers[1:] == before.triggers[1:]
    gone = {"#floor = 14.0", "#masks = []"}
    assert {c for c in comments(text) if c not in gone} <= set(comments(new))


def comments(text: str) -> list[str]:
    return [match.strip() for match in re.findall(r"#.*", text)]


NO_SHRINKING = [Phase.explicit, Phase.reuse, Phase.generate]  # it would take minutes
points = st.lists(
    st.tuples(*[st.integers(0, 10_000).map(lambda n: n / 10_000)] * 2), min_size=3, max_size=6
)
names = st.lists(st.from_regex(r"\A[a-z][a-z0-9_-]{0,8}\Z"), max_size=4, unique=True)


@settings(max_examples=30, deadline=None, phases=NO_SHRINKING)
@given(st.data(), names, st.lists(points, max_size=4), st.floats(1, 255))
def test_the_file_holds_exactly_the_shapes_that_were_drawn(
    data: st.DataObject, zones: list[str], masks: list[list[tuple[float, float]]], floor: float
) -> None:
    """The change is made twice: in a new file, and again in its own result."""
    text = CONFIGURATION
    for _ in range(2):
        there = [zone.name for zone in loads(text).zones]
        old = data.draw(st.lists(st.sampled_from(there), unique=True)) if there else []
        taken = [name for name in zones if name not in old]
        kept = len(loads(text).motion.masks)
        was = data.draw(st.lists(st.integers(0, kept - 1), unique=True)) if kept else []
        wanted = change(
            zones=(
                *(ZoneEdit(name=name, was=name, polygon=data.draw(points)) for name in old),
                *(ZoneEdit(name=name, polygon=data.draw(points)) for name in taken),
            ),
            masks=(
                *(MaskEdit(was=n, polygon=data.draw(points)) for n in sorted(was)),
                *(MaskEdit(polygon=mask) for mask in masks),
            ),
            motion={"floor": floor},
        )
        text = edited(text, wanted, HERE)
        after = loads(text)
        drawn = {zone.name: tuple(map(tuple, zone.polygon)) for zone in wanted.zones}
        assert {zone.name: zone.polygon for zone in after.zones} == drawn
        assert list(after.motion.masks) == [tuple(map(tuple, m.polygon)) for m in wanted.masks]
        assert after.motion.floor == floor
        assert "# The gate, seen from the house." in text


def test_privacy_masks_are_made_changed_and_removed() -> None:
    text = edited(CONFIGURATION, change(privacy=(MaskEdit(polygon=TREE),)), HERE)
    assert loads(text).privacy.masks == (tuple(TREE),)
    assert loads(text).motion.masks == (tuple(TREE),)
    both = change(privacy=(MaskEdit(polygon=TREE, was=0), MaskEdit(polygon=SQUARE)))
    text = edited(text, both, HERE)
    assert loads(text).privacy.masks == (tuple(TREE), tuple(SQUARE))
    assert loads(edited(text, change(), HERE)).privacy == loads(text).privacy
    text = edited(text, change(privacy=(MaskEdit(polygon=LEFT, was=1),)), HERE)
    assert loads(text).privacy.masks == (tuple(LEFT),)
    assert loads(edited(text, change(privacy=()), HERE)).privacy.masks == ()
    crossing = [(0.1, 0.1), (0.5, 0.5), (0.5, 0.1), (0.1, 0.5)]
    with pytest.raises(ConfigError, match=r"privacy\.masks\[0\]"):
        edited(CONFIGURATION, change(privacy=(MaskEdit(polygon=crossing),)), HERE)


LINE = LineEdit(name="kerb", points=[(0.1, 0.8), (0.9, 0.8)], labels=("person",))


def test_lines_and_rules_are_made_changed_and_removed() -> None:
    night = RuleEdit(name="night", labels=("animal",), schedule=("22:00-06:00",), cooldown_s=30.0)
    visitor = RuleEdit(name="visitor", was="visitor")
    text = edited(CONFIGURATION, change(lines=(LINE,), rules=(visitor, night)), HERE)
    made = loads(text)
    assert made.lines[0].points == ((0.1, 0.8), (0.9, 0.8))
    assert made.lines[0].labels == ("person",)
    assert made.triggers[0] == loads(CONFIGURATION).triggers[0]
    assert (made.triggers[1].schedule, made.triggers[1].cooldown_s) == (("22:00-06:00",), 30.0)
    assert made.triggers[1].confirm == 2  # a default
    moved = LineEdit(name="edge", was="kerb", points=[(0.2, 0.8), (0.9, 0.8)])
    guest = RuleEdit(name="guest", was="visitor", actions=("still", "clip"))
    changed = loads(edited(text, change(lines=(moved,), rules=(guest,)), HERE))
    assert [(line.name, line.labels) for line in changed.lines] == [("edge", ("person",))]
    assert [(r.name, r.actions) for r in changed.triggers] == [("guest", ("still", "clip"))]
    assert "# where one walks" in text
    assert loads(edited(text, change(), HERE)) == made  # a change without lists of them
    without = loads(edited(text, change(lines=(), rules=()), HERE))
    assert (without.lines, without.triggers) == ((), ())


def test_the_default_rule_is_written_when_another_one_joins_it() -> None:
    person = RuleEdit(name="person", was="person")
    rules = loads(edited("", change(zones=(), masks=(), rules=(person,)), HERE)).triggers
    assert edited("", change(zones=(), masks=(), rules=(person,)), HERE) == ""
    both = change(zones=(), masks=(), rules=(person, RuleEdit(name="dogs", labels=("dog",))))
    assert [rule.name for rule in loads(edited("", both, HERE)).triggers] == ["person", "dogs"]
    assert rules == loads("").triggers


WRONG = [
    ({"motion": {"floor": 999.0}}, "motion.floor: 999.0 found, expected a number from 1 to 255"),
    ({"motion": {"flor": 9.0}}, "motion.flor: unknown key; did you mean floor?"),
    ({"zones": (ZoneEdit(name="a b", polygon=SQUARE),)}, 'zones[0].name: "a b" found'),
    ({"zones": (PATH, ZoneEdit(name="path", polygon=SQUARE))}, "the name 'path' is used twice"),
    ({"zones": (ZoneEdit(name="a", polygon=SQUARE[:2]),)}, "zones[0].polygon"),
    ({"masks": (MaskEdit(polygon=[(0.0, 0.0), (2.0, 0.0), (1.0, 1.0)]),)}, "motion.masks"),
    ({"rules": (RuleEdit(name="visitor", was="visitor", zones=("paht",)),)}, "did you mean path?"),
    ({"rules": (RuleEdit(name="new", schedule=("later",)),)}, "triggers[0].schedule"),
    ({"rules": (RuleEdit(name="new", was="gone"),)}, "can be edited only by hand"),
    ({"lines": (LineEdit(name="l", points=[(0.1, 0.1)]),)}, "lines[0].points"),
    ({"lines": (LineEdit(name="l", points=[(0.1, 0.1)] * 2),)}, "start and end are the same"),
    ({"masks": (MaskEdit(was=7, polygon=SQUARE),)}, "can be edited only by hand"),
]


@pytest.mark.parametrize(("parts", "problem"), WRONG)
def test_a_wrong_change_is_refused_with_its_key(parts: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        edited(CONFIGURATION, change(**parts), HERE)
    assert problem in str(caught.value)
    assert str(caught.value).startswith("edge.toml")


def test_polygons_of_very_many_corners_are_refused_at_once() -> None:
    shape = [[k % 97 / 97, k % 89 / 89] for k in range(9000)]
    body = {"version": "x", "zones": [{"name": "z", "polygon": shape}], "masks": []}
    start_s = time.monotonic()
    large = msgspec.json.decode(msgspec.json.encode(body), type=Change)
    with pytest.raises(ConfigError, match="zone z has 9000 corners, and a polygon"):
        edited("", large, Path("x"))
    masks = msgspec.convert(
        {"version": "x", "zones": [], "masks": [{"polygon": shape[:101]}]}, Change
    )
    with pytest.raises(ConfigError, match="mask 1 has 101 corners"):
        edited("", masks, Path("x"))
    with pytest.raises(ConfigError, match=r"zones\[0\]\.polygon"):
        loads(f'[[zones]]\nname = "z"\npolygon = {shape[:200]}\n', Path("x"))
    many = [{"name": f"z{n}", "polygon": shape[:100]} for n in range(30)]
    change = msgspec.convert(body | {"zones": many}, Change)
    with pytest.raises(ConfigError, match="3000 corners together"):
        edited("", change, Path("x"))
    assert time.monotonic() < start_s + 3


SCREEN = Mute(box=(0.1, 0.2, 0.3, 0.4), labels=("person",))
BUSH = Mute(box=(0.5, 0.5, 0.75, 1.0))


@pytest.mark.parametrize("text", ["", CONFIGURATION, commented(), "mutes = []\n" + CONFIGURATION])
def test_a_mute_is_added_and_removed_and_nothing_else_changes(text: str) -> None:
    one = with_mute(text, SCREEN, HERE)
    two = with_mute(one, BUSH, HERE)
    assert loads(two, HERE).mutes == (SCREEN, BUSH)
    lines = two.splitlines()
    assert [line for line in text.splitlines() if line not in [*lines, "mutes = []"]] == []
    assert loads(without_mutes(two, [SCREEN], HERE), HERE).mutes == (BUSH,)
    none = without_mutes(two, [BUSH, SCREEN], HERE)
    assert loads(none, HERE) == loads(text, HERE)
    assert none.split() == text.replace("mutes = []\n", "").split()
    assert without_mutes(text, [BUSH], HERE) == text


def test_inline_mutes_keep_their_style_and_comments() -> None:
    text = "mutes = [\n  { box = [0.5, 0.5, 0.75, 1.0] },  # the bush\n]\n"
    new = with_mute(text, SCREEN, HERE)
    assert loads(new, HERE).mutes == (BUSH, SCREEN)
    assert "# the bush" in new
    assert "[[mutes]]" not in new


def test_mutes_are_bounded_and_checked() -> None:
    text = ""
    for number in range(MAX_ROWS):
        text = with_mute(text, Mute(box=(0.0, 0.0, 1.0, 1 - number / 100)), HERE)
    with pytest.raises(ConfigError, match=f"{MAX_ROWS + 1} sections found"):
        with_mute(text, BUSH, HERE)
    with pytest.raises(ConfigError, match="it has no area; write left, top, right, bottom"):
        with_mute("", Mute(box=(0.3, 0.2, 0.3, 0.4)), HERE)
    with pytest.raises(ConfigError, match="list of four numbers from 0 to 1"):
        loads("[[mutes]]\nbox = [0.1, 0.2, 1.3, 0.4]", HERE)
