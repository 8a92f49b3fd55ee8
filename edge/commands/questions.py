"""The questions of `edge init`: each answer is checked when it is given, and asked for again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.commands.progress import working
from edge.errors import ConfigError, EdgeError, ModelError

if TYPE_CHECKING:
    from edge.config.schema import Settings
    from edge.config.starter import Answers
    from edge.sources.connected import Camera

Check = Callable[[str], str]  # returns the answer as it is used; raises EdgeError


def answers(given: Mapping[str, Any], *, asks: bool) -> Answers:
    """The values of the options. For missing ones, it asks for answers or takes proposals.

    given: by the names of the options; None or empty where one is missing. Raises EdgeError for a
    wrong option, before anything is asked.
    """
    from edge.config.starter import Answers

    _check_options(given, asks=asks)
    source = given["source"] or _source(asks=asks)
    model, watch_for = given["model"], given["watch_for"]
    if not watch_for:
        model = model or (_model() if asks else None)
        watch_for = (_objects(model),) if asks else ("people",)
    return Answers(
        source=source,
        watch_for=watch_for,
        captures=given["captures"] or _asked("Folder for captures", "captures", _folder, asks),
        camera=given["camera"] or _asked("Name of this camera", "cam0", _camera, asks),
        model=model,
    )


def check_objects(watch_for: Sequence[str], model: str | None) -> None:
    """Raises ConfigError if the model, or the one that would be chosen, lacks an object.

    A model of the catalogue that is still to be fetched is not checked. Without objects, the model
    is only read.
    """
    from edge.config.load import loads
    from edge.config.starter import Answers, model_for, starter
    from edge.vision.build import check_labels
    from edge.vision.detector import read_model
    from edge.vision.detector.catalogue import find_model, load_catalog

    if watch_for and not "".join(watch_for).strip(", "):
        raise ConfigError("name one object or more to watch for, such as people")
    wanted = Answers("", tuple(watch_for), model=model)
    name = model_for(wanted)
    try:
        read = read_model(find_model(name))
    except ModelError as error:
        if name in load_catalog():
            return
        raise ConfigError(str(error)) from error
    if not watch_for:
        return
    if problems := check_labels(loads(starter(wanted)), read.labels, read.groups):
        raise ConfigError([problem.partition(": ")[2] for problem in problems])


def _check_options(given: Mapping[str, Any], *, asks: bool) -> None:
    if given["source"]:
        _settings("source.uri", given["source"])
    if given["captures"]:
        _settings("capture.directory", given["captures"])
    if given["camera"]:
        _camera(given["camera"])
    if given["model"] or given["watch_for"]:
        check_objects(given["watch_for"] or (() if asks else ("people",)), given["model"])


def _asked(question: str, proposal: str, check: Check, asks: bool = True) -> str:
    """The checked answer, or the proposal if nothing is asked."""
    if not asks:
        return proposal

    def checked(text: str) -> str:
        try:
            return check(text.strip())
        except EdgeError as error:
            raise click.UsageError(str(error).removeprefix("command line: ")) from error

    return str(click.prompt(question, default=proposal, value_proc=checked))


def _choices(heading: str, rows: Sequence[tuple[str, str]]) -> None:
    click.echo(heading)
    width = max(len(name) for name, _ in rows)
    for number, (name, about) in enumerate(rows, 1):
        click.echo(f"  {number}  {name:{width}}  {about}")


def _chosen(text: str, names: Sequence[str]) -> str:
    """The name with that number; another text as it is."""
    if not text.isdecimal() or not names:
        return text
    if not 1 <= int(text) <= len(names):
        raise ConfigError(f"{text} found, expected a number from 1 to {len(names)}")
    return names[int(text) - 1]


def _source(*, asks: bool) -> str:
    from edge.sources.connected import cameras, likely

    with working("looking for cameras"):
        proposal = likely()
        found = cameras() if asks else []
    if not asks:
        return proposal
    uris = [camera.uri for camera in found]
    if found:
        _choices("Cameras of this machine:", [(c.uri, c.problem or c.name) for c in found])
    else:
        click.echo("No camera was found on this machine; synthetic:people is a drawn scene.")
    proposal = str(uris.index(proposal) + 1) if proposal in uris else proposal
    question = "Number of a camera, or the address of a stream or file"
    return _asked(question, proposal, lambda text: _checked_source(_chosen(text, uris), found))


def _checked_source(uri: str, found: Sequence[Camera]) -> str:
    from edge.sources import open_source
    from edge.sources.kinds import Kind, kind_of

    source = _settings("source.uri", uri).source
    if problem := next((camera.problem for camera in found if camera.uri == uri), ""):
        raise ConfigError(f"{uri}: {problem}")
    device = Path(uri.removeprefix("v4l2:"))
    if kind_of(uri) is Kind.V4L2 and not device.exists():
        raise ConfigError(f"{uri}: there is no device {device}; connect the camera")
    open_source(source).close()  # it is not opened yet: that is the task of the doctor
    return uri


def _model() -> str:
    from edge.config.schema import DEFAULT_MODEL
    from edge.config.starter import MANY_CLASSES

    names = [DEFAULT_MODEL, MANY_CLASSES]
    about = [
        "people, more accurately than the other one",
        "people, animals, vehicles and other objects",
    ]
    _choices("Models:", list(zip(names, about, strict=True)))
    question = "Number of a model, or another name or file"
    return _asked(question, "1", lambda text: _checked_model(_chosen(text, names)))


def _checked_model(name: str) -> str:
    from edge.vision.detector import read_model
    from edge.vision.detector.catalogue import find_model

    read_model(find_model(name))
    return name


def _objects(model: str | None) -> str:
    """Of a model with a single label, this one; otherwise what is asked for."""
    from edge.config.starter import GROUPS
    from edge.vision.detector import read_model
    from edge.vision.detector.catalogue import find_model

    read = read_model(find_model(str(model)))
    if len(read.labels) == 1:
        name = read.labels[0]
        return next((plural for plural, label in GROUPS.items() if label == name), name)
    known = {*read.labels, *read.groups}
    proposal = ", ".join(plural for plural, label in GROUPS.items() if label in known)

    def check(text: str) -> str:
        check_objects((text,), model)
        return text

    question = "Objects to watch for, separated by commas; a rule for each"
    return _asked(question, proposal or read.labels[0], check)


def _folder(text: str) -> str:
    from edge.tools.doctor import captures

    for finding in captures(_settings("capture.directory", text)):
        if finding.state == "fail":
            raise ConfigError(f"{finding.found}; choose another folder")
    return text


def _camera(text: str) -> str:
    return _settings("camera", text).camera


def _settings(key: str, text: str) -> Settings:
    """The defaults with one key. Raises ConfigError for a value that is wrong in itself."""
    from edge.config.load import loads
    from edge.config.words import toml_value

    return loads("", overrides={key: toml_value(text)})
