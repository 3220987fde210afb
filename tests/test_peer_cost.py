"""The peers of the cost benchmark: published shapes at tiny widths, counted work, ours runs."""

import importlib.util
from pathlib import Path

import pytest
import torch
from tiny_renderer import CONFIG

PATH = Path(__file__).parents[1] / "benchmarks" / "peer_cost.py"
specification = importlib.util.spec_from_file_location("peer_cost", PATH)
assert specification and specification.loader
peer_cost = importlib.util.module_from_spec(specification)
specification.loader.exec_module(peer_cost)

TINY = peer_cost.Widths(unet=(8, 8, 16, 16), vae=(4, 4, 8, 8), groups=4)
WIDER = peer_cost.Widths(unet=(16, 16, 32, 32), vae=(8, 8, 16, 16), groups=4)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Small pictures: the work is in the shapes' ratios."""
    monkeypatch.setattr(peer_cost, "PIXELS", 64)
    monkeypatch.setattr(peer_cost, "LATENT_SIDE", 8)
    monkeypatch.setattr(peer_cost, "LATENTSYNC_FRAMES", 4)
    monkeypatch.setattr(peer_cost, "SHORTEST", 0.0)
    with torch.inference_mode():
        yield


@pytest.mark.parametrize(("make", "channels"), [("musetalk", 8), ("latentsync", 13)])
def test_peers_have_the_published_shapes(make, channels):
    contender = getattr(peer_cost, make)(TINY, torch.float32)
    unet, vae = contender.networks
    assert unet.conv_in.in_channels == channels and unet.conv_out.out_channels == 4
    assert unet.config.cross_attention_dim == 384
    assert vae.config.latent_channels == 4
    assert contender.parts["unet"].run().shape[-2:] == (8, 8)
    assert contender.parts["encode"].run().shape == (1, 4, 8, 8)
    assert contender.parts["decode"].run().shape == (1, 3, 64, 64)
    assert (contender.parts["encode"].per_frame, contender.parts["decode"].per_frame) == (2, 1)


def test_motion_modules_sit_at_all_four_resolutions_and_not_in_the_middle():
    unet = peer_cost.latentsync(TINY, torch.float32).networks[0]
    assert all(len(block.motion_modules) == 2 for block in unet.down_blocks)
    assert all(len(block.motion_modules) == 3 for block in unet.up_blocks)
    assert not hasattr(unet.mid_block, "motion_modules")


def test_counted_operations_grow_with_widths_and_steps():
    small, wide = (peer_cost.musetalk(w, torch.float32).operations() for w in (TINY, WIDER))
    assert 2.5 < wide / small < 4.2
    many = peer_cost.latentsync(TINY, torch.float32)
    # 20 steps with guidance, shared by the frames of one pass.
    assert many.parts["unet"].per_frame == 40 / 4
    assert many.operations() > 20 * peer_cost.musetalk(TINY, torch.float32).operations() / 2


def test_ours_runs_and_the_table_compares_with_the_first():
    built = {
        "ours": peer_cost.ours(CONFIG),
        "MuseTalk 1.5 shape": peer_cost.musetalk(TINY, torch.float32),
    }
    seconds = {"ours": [1.0, 2.0, 4.0], "MuseTalk 1.5 shape": [3.0, 4.0, 20.0]}
    operations = {name: contender.operations() for name, contender in built.items()}
    rows = peer_cost.report(built, operations, seconds, {"ours": 5.0})
    assert [row["ratio"] for row in rows] == [1, 3]
    assert (rows[1]["lowest ratio"], rows[1]["highest ratio"]) == (2, 5)
    assert rows[0]["GFLOP per frame"] > 0 and rows[0]["million parameters"] > 0
    lines = peer_cost.markdown(rows).splitlines()
    assert len(lines) == 4 and "3 (2 to 5)" in lines[3]
    measured = peer_cost.measure({"ours": built["ours"]}, 2)
    assert len(measured["ours"]) == 2 and min(measured["ours"]) > 0


def test_the_shipped_architectures_are_the_ones_measured():
    configs = peer_cost.shipped_configs()
    assert 256 in configs and list(configs) == sorted(configs, reverse=True)
    assert all(config.crop_size == size for size, config in configs.items())
    assert all(isinstance(config.widths, tuple) for config in configs.values())
    names = list(peer_cost.builders(TINY, torch.float32))
    own = [f"ours {size}" for size in configs]
    assert names == [*own, "MuseTalk 1.5 shape", "LatentSync 1.5 shape"]
