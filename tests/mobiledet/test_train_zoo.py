"""The MobileNet v1 family against its published table. Builds real graphs: needs TensorFlow."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

pytest.importorskip("tensorflow", reason="TENSORFLOW ABSENT: networks were not built")

from edge.errors import PermanentError
from mobiledet import zoo
from mobiledet.backbone import fire, mobilenet_v1
from mobiledet.blocks import FloatBlocks
from mobiledet.cli import commands
from mobiledet.cost import macs_by_layer


@pytest.mark.parametrize("row", zoo.PUBLISHED, ids=lambda row: f"{row.alpha}-{row.size_px}")
def test_the_graph_has_the_published_counts(row):
    count = zoo.counted(row)
    assert count.parameters / 1e6 == pytest.approx(row.mega_parameters, rel=0.01)
    published = 30 if (row.alpha, row.size_px) == zoo.PUBLISHED_IN_ERROR else row.mega_macs
    # Published as whole millions: the smallest rows are within half of one, not within 1 %.
    assert count.comparable_macs / 1e6 == pytest.approx(published, rel=0.01, abs=0.5)


def test_only_alpha_0_75_is_compared_without_the_first_convolution():
    without = {
        r.alpha for r in zoo.PUBLISHED[::4] if zoo.counted(r).comparable_macs < zoo.counted(r).macs
    }
    assert without == {0.75}


def test_the_family_as_json(monkeypatch):
    monkeypatch.setattr(zoo, "PUBLISHED", zoo.PUBLISHED[13:15])
    done = CliRunner().invoke(commands, ["zoo", "--no-measure", "--json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [row["published"]["size_px"] for row in rows] == [192, 160]
    assert rows[0]["published"] == {
        "alpha": 0.25, "size_px": 192, "mega_macs": 34, "mega_parameters": 0.47,
        "top1": 49.0, "top5": 73.6,
    }  # fmt: skip
    assert rows[0]["counted"]["macs"] == zoo.counted(zoo.PUBLISHED[0]).macs
    assert rows[0]["measured"] is None


def test_measured_figures_are_in_the_json_too(monkeypatch):
    monkeypatch.setattr(zoo, "PUBLISHED", zoo.PUBLISHED[15:])
    done = CliRunner().invoke(commands, ["zoo", "--json"])
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)
    assert 400_000 < row["measured"]["size_bytes"] < 1_000_000
    assert row["measured"]["latency_ms"] > 0


def test_choose_prints_the_figures_of_its_choice(monkeypatch):
    monkeypatch.setattr(zoo, "PUBLISHED", zoo.PUBLISHED[14:])
    done = CliRunner().invoke(commands, ["choose", "--latency-ms", "10000", "--size-mb", "1"])
    assert done.exit_code == 0, done.output
    assert re.fullmatch(
        r"alpha 0\.25, 160 px: [\d.]+ ms, 0\.\d\d MB int8, 21\.1 M MACs, published top-1 46\.0 %\n",
        done.stdout,
    )


def test_choose_measures_and_takes_the_most_accurate_that_fits():
    row = zoo.choose(max_latency_ms=10_000, max_size_bytes=1_000_000)
    assert (row.published.alpha, row.published.size_px) == (0.25, 224)
    assert 400_000 < row.measured.size_bytes <= 1_000_000
    assert row.measured.latency_ms > 0


def test_choose_reports_the_smallest_if_none_fits():
    with pytest.raises(PermanentError, match=r"smallest takes .* ms and 0\.\d+ MB"):
        zoo.choose(max_latency_ms=0.0, max_size_bytes=500_000)


@pytest.mark.parametrize("backbone", [mobilenet_v1, fire])
def test_backbones_end_at_strides_16_and_32(backbone):
    blocks = FloatBlocks()
    near, far = backbone(blocks, blocks.image(192), 0.25)
    assert near.shape[1:3] == (12, 12)
    assert far.shape[1:3] == (6, 6)


def test_macs_of_a_depthwise_block_follow_the_formula():
    from mobiledet.tensorflow import tf

    blocks = FloatBlocks()
    image = blocks.image(32)
    model = tf().keras.Model(image, blocks.conv(blocks.depthwise(image, "d", stride=2), 10, "p"))
    assert macs_by_layer(model) == {"d": 16 * 16 * 3 * 9, "p": 16 * 16 * 3 * 10}
