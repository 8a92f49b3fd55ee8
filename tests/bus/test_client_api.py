"""The public modules list and document their names."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

from edge import client, errors, messages

API_PAGE = (Path(__file__).resolve().parents[2] / "docs" / "client.md").read_text()


def public_members(kind: type) -> list[str]:
    """Methods and properties of a class that its users call."""
    return [
        name for name, member in vars(kind).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    ]  # fmt: skip


@pytest.mark.parametrize("module", [client, messages, errors], ids=lambda module: module.__name__)
def test_every_public_name_of_a_module_is_listed(module: ModuleType) -> None:
    defined_here = {
        name for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    }  # fmt: skip
    assert defined_here
    assert defined_here <= set(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("name", client.__all__)
def test_every_public_name_of_the_client_is_on_its_page(name: str) -> None:
    value = getattr(client, name)
    if isinstance(value, type):
        assert re.search(rf"\b{name}\b", API_PAGE)
        assert inspect.getdoc(value)
        for member in public_members(value):
            assert re.search(rf"\b{member}\b", API_PAGE), f"{name}.{member}"


@pytest.mark.parametrize("kind", [client.Subscriber, client.Control, client.GapCounter])
def test_every_method_and_argument_is_documented(kind: type) -> None:
    members = public_members(kind)
    assert members
    for member in members:
        assert inspect.getdoc(getattr(kind, member)), member
    for argument in inspect.signature(kind).parameters:
        assert re.search(rf"\b{argument}\b", API_PAGE), argument
