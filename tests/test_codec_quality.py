"""The codec benchmark: crops cut from videos, figures whose truth is known, one table for all."""

import importlib.util
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from tiny_renderer import SIZE, face_track, mouth_crops, tiny_renderer

from lipsync_core.checkpoint import save_model
from lipsync_core.media.writing import write_clip
from lipsync_core.render.codec import Codec, CodecConfig
from lipsync_core.training.crops import mouth_box
from lipsync_core.training.prepared import write_prepared

PATH = Path(__file__).parents[1] / "benchmarks" / "codec_quality.py"
specification = importlib.util.spec_from_file_location("codec_quality", PATH)
assert specification and specification.loader
codec_quality = importlib.util.module_from_spec(specification)
specification.loader.exec_module(codec_quality)

FRAMES = 24
OPENINGS = 0.04 + 0.16 * torch.rand(FRAMES, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A clip as a video and prepared, a codec's file, and a tiny autoencoder's two files."""
    folder = tmp_path_factory.mktemp("codec_quality")
    (folder / "clips").mkdir()
    pictures = mouth_crops(OPENINGS)
    write_clip(folder / "clips" / "ann.mp4", [pictures], Fraction(25), SIZE, SIZE)
    track = face_track(SIZE * OPENINGS)
    tensors = {
        "landmarks": track.landmarks,
        "frame_to_crop": track.frame_to_crop,
        "visible": track.visible,
    }
    write_prepared(
        folder / "prepared" / "ann.safetensors", tensors, name="ann", person="ann", split="test",
        fps=Fraction(25), crop_size=SIZE, frame_count=FRAMES, encoder="none", source="drawn",
    )  # fmt: skip
    torch.manual_seed(0)
    config = CodecConfig(4, (8, 16, 16), 1, (1, 1, 1))
    save_model(folder / "small.safetensors", Codec(config), {})
    save_model(folder / "holder.safetensors", tiny_renderer(), {})
    parts = codec_quality.tiny_encoder(6, 8), codec_quality.tiny_decoder(6, 8)
    for name, part in zip(("encoder", "decoder"), parts, strict=True):
        torch.save(part.state_dict(), folder / f"taef2_{name}.pth")
    return folder


def faces(folder, size=SIZE, frames=6):
    (clip,) = codec_quality.read_prepared(folder / "prepared")
    videos = {"ann": folder / "clips" / "ann.mp4"}
    return codec_quality.read_faces([clip], videos, {"ann": "Ann"}, size, frames)


def test_frames_are_spread_over_the_openings(folder):
    (ann,) = faces(folder)
    assert ann.person == "Ann"
    assert ann.crops.shape == (6, 3, SIZE, SIZE)
    heights = ann.interiors.any(dim=2).sum(dim=1) / SIZE
    assert (heights.diff() >= 0).all()
    assert float(heights[0]) == pytest.approx(float(OPENINGS.min()), abs=0.03)
    assert float(heights[-1]) == pytest.approx(float(OPENINGS.max()), abs=0.03)
    drawn = mouth_crops(OPENINGS.sort().values[[0, -1]]).permute(0, 3, 1, 2)
    assert (ann.crops[[0, -1]] - drawn).abs().mean() < 0.02


def test_a_size_that_the_face_does_not_have_is_left_out(folder):
    assert len(faces(folder, size=int(SIZE / codec_quality.REAL))) == 1
    assert faces(folder, size=2 * SIZE) == []


def test_noise_of_known_size_gives_the_psnr_it_has(folder):
    (ann,) = faces(folder)
    noise = 0.02 * torch.randn(ann.crops.shape, generator=torch.Generator().manual_seed(1))
    found = codec_quality.compare(ann.crops + noise, ann)
    for measure in ("whole", "mouth", "interior"):
        assert found[measure] == pytest.approx(33.98, abs=0.25)
    assert found["gradient"] > 1.5
    assert codec_quality.compare(ann.crops, ann)["gradient"] == pytest.approx(1.0)


def test_a_blurred_mouth_shows_in_the_mouth_alone(folder):
    (ann,) = faces(folder)
    made = ann.crops.clone()
    rows, columns = mouth_box(SIZE)
    mouth = made[..., rows, columns]
    made[..., rows, columns] = torch.nn.functional.avg_pool2d(
        mouth, 9, stride=1, padding=4, count_include_pad=False
    )
    found = codec_quality.compare(made, ann)
    assert found["gradient"] < 0.8
    assert found["mouth"] < found["whole"] - 3


def test_a_mouth_that_never_opens_has_no_interior(folder):
    (ann,) = faces(folder)
    shut = codec_quality.Faces("Ann", ann.crops, torch.zeros_like(ann.interiors))
    assert "interior" not in codec_quality.compare(ann.crops, shut)


def test_the_tiny_autoencoder_has_an_eighth_of_the_side(folder):
    tiny = codec_quality.taef2(folder)
    encoder, decoder = tiny.network
    latents = encoder(torch.rand(1, 3, 64, 64))
    assert latents.shape == (1, 6, 8, 8)
    assert decoder(latents).shape == (1, 3, 64, 64)
    assert tiny.latent_channels == 6
    assert tiny.operations(128) == 4 * tiny.operations(64)


def test_all_codecs_stand_in_one_table(folder):
    given = [
        "--clips", str(folder / "clips"), "--prepared", str(folder / "prepared"),
        "--taef2", str(folder), "--sizes", "64", "256", "--frames", "2", "--codec",
        str(folder / "small.safetensors"), str(folder / "holder.safetensors"),
    ]  # fmt: skip
    shown = codec_quality.run(codec_quality.parse(given))
    assert "Crops of 64 pixels" in shown
    assert "Crops of 256 pixels" not in shown
    rows = [line for line in shown.splitlines() if line.startswith(("| ann", "| **mean**"))]
    assert len(rows) == 2
    for row in rows:
        cells = [cell.strip().split(" / ") for cell in row.strip("|").split("|")[1:]]
        assert len(cells) == 3
        assert all(len(cell) == len(codec_quality.MEASURES) for cell in cells)
    for name in ("small", "holder", "taef2"):
        assert f"| {name} |" in shown
