"""The XMP of a still: keywords, the box of the object, place and rights.

Names of the standards: Dublin Core, the Metadata Working Group's regions, digiKam, Lightroom, IPTC
and Darwin Core (deployment and event).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from edge.capture.metadata.facts import StillFacts, title
from edge.capture.metadata.origin import SOFTWARE
from edge.capture.sidecar import TrackEntry, iso_time
from edge.runtime.printable import printable

_NAMESPACES: Final = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "dwc": "http://rs.tdwg.org/dwc/index.htm",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "xmp": "http://ns.adobe.com/xap/1.0/",
}
_PACKET: Final = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" {namespaces}>
{properties}
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def xmp(facts: StillFacts) -> bytes:
    """The packet."""
    return _PACKET.format(
        namespaces=" ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items()),
        properties="\n".join(_properties(facts)),
    ).encode()


def _properties(facts: StillFacts) -> Iterator[str]:
    site, event = facts.sidecar.site, facts.sidecar.events[0]
    time = iso_time(facts.wall_ns)
    yield _simple("xmp:CreatorTool", SOFTWARE)
    yield _simple("xmp:CreateDate", time)
    yield _simple("photoshop:DateCreated", time)
    yield _listed("dc:description", "Alt", [title(facts.sidecar)])
    yield _listed("dc:creator", "Seq", [site.setup_by])
    yield _listed("dc:rights", "Alt", [site.rights])
    yield _simple("Iptc4xmpCore:Location", site.name)
    ids = {"eventID": event.event_id, "parentEventID": site.deployment}
    yield _struct("dwc:Event", "".join(_simple(f"dwc:{key}", text) for key, text in ids.items()))
    place = {"locationID": site.deployment, "locality": site.name}
    yield _struct(
        "dwc:dctermsLocation", "".join(_simple(f"dwc:{key}", text) for key, text in place.items())
    )
    if facts.track is not None:
        yield from _object(facts.track, facts.size)


def _object(track: TrackEntry, size: tuple[int, int]) -> Iterator[str]:
    """Keywords, flat and as a tree from group to label, and the box as a region."""
    tree = [track.group, track.label] if track.group not in ("", track.label) else [track.label]
    yield _listed("dc:subject", "Bag", tree)
    yield _listed("lr:hierarchicalSubject", "Bag", ["|".join(tree)])
    yield _listed("digiKam:TagsList", "Seq", ["/".join(tree)])
    x0, y0, x1, y1 = track.box_xyxy
    area = {"x": (x0 + x1) / 2, "y": (y0 + y1) / 2, "w": x1 - x0, "h": y1 - y0}
    attributes = " ".join(f'stArea:{key}="{value:.5f}"' for key, value in area.items())
    region = (
        f'<mwg-rs:Area {attributes} stArea:unit="normalized"/>'
        + _simple("mwg-rs:Name", track.label)
        + _simple("mwg-rs:Description", f"score {track.score:g}")
    )
    yield _struct(
        "mwg-rs:Regions",
        f'<mwg-rs:AppliedToDimensions stDim:w="{size[0]}" stDim:h="{size[1]}" '
        'stDim:unit="pixel"/><mwg-rs:RegionList><rdf:Bag>'
        f'<rdf:li rdf:parseType="Resource">{region}</rdf:li></rdf:Bag></mwg-rs:RegionList>',
    )


def _simple(name: str, text: str) -> str:
    """A property; empty without text."""
    return f"<{name}>{_xml(text)}</{name}>" if text else ""


def _listed(name: str, kind: str, texts: Iterable[str]) -> str:
    """An RDF container of texts; empty without a text. kind: Alt (of languages), Bag or Seq."""
    language = ' xml:lang="x-default"' if kind == "Alt" else ""
    items = "".join(f"<rdf:li{language}>{_xml(text)}</rdf:li>" for text in texts if text)
    return f"<{name}><rdf:{kind}>{items}</rdf:{kind}></{name}>" if items else ""


def _struct(name: str, content: str) -> str:
    return f'<{name} rdf:parseType="Resource">{content}</{name}>'


def _xml(text: str) -> str:
    """Control characters, which a label may have, are not allowed in XML in any form."""
    return escape(printable(text))
