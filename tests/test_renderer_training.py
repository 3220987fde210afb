"""Codec and renderer learn from prepared clips of a drawn mouth, and resume bit for bit."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_renderer import SIZE, face_track, mouth_crops

from lipsync_core.checkpoint import load_model, save_tensors
from lipsync_core.landmarks import MOVING, TRACKED
from lipsync_core.render.codec import Codec
from lipsync_core.render.renderer import LipRenderer
from lipsync_core.training.codec import PRESETS as CODEC_PRESETS
from lipsync_core.training.codec import build_codec_task
from lipsync_core.training.crops import clip_weights, mouth_box, read_crop_clips
from lipsync_core.training.encoded_scenes import encode_batch
from lipsync_core.training.loop import step_generator, train
from lipsync_core.training.prepared import write_prepared
from lipsync_core.training.reconstruction import ReconstructionWeights, reconstruction_loss
from lipsync_core.training.rendered_clips import (
    SceneRecipe,
    distant_frames,
    read_rendered_clips,
)
from lipsync_core.training.renderer import PRESETS as RENDERER_PRESETS
from lipsync_core.training.renderer import (
    begin_from,
    build_renderer_task,
    mouth_in_window,
    read_basis,
)

FRAMES = 60


def write_mouth_clip(
    path: Path, person: str, split: str, phase: float, source: str = "drawn"
) -> None:
    openings = 0.08 + 0.08 * torch.sin(torch.arange(FRAMES) * 0.4 + phase)
    track = face_track(SIZE * openings)
    canonical = torch.zeros(FRAMES, len(MOVING), 3)
    # One coordinate carries the opening: the first direction of the basis.
    canonical[:, 0, 1] = openings
    write_prepared(
        path,
        {
            "crops": (mouth_crops(openings) * 255).round().to(torch.uint8),
            "landmarks": track.landmarks,
            "frame_to_crop": track.frame_to_crop,
            "visible": torch.ones(FRAMES, dtype=torch.bool),
            "neutral": torch.zeros(len(TRACKED), 3),
            "canonical": canonical,
            "valid": torch.ones(FRAMES, dtype=torch.bool),
            "speech": torch.zeros(1, FRAMES, 4, dtype=torch.float16),
        },
        name=path.stem,
        person=person,
        split=split,
        fps="25",
        crop_size=SIZE,
        frame_count=FRAMES,
        encoder="none",
        source=source,
    )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    for number, (person, split) in enumerate(
        [("a", "train"), ("a", "train"), ("b", "train"), ("a", "validation")]
    ):
        write_mouth_clip(folder / f"clip{number}.safetensors", person, split, 0.5 * number)
    components = torch.zeros(4, len(MOVING) * 3)
    components[torch.arange(4), torch.arange(4) + 1] = 1
    save_tensors(folder / "basis.safetensors", {"components": components}, {})
    return folder


@pytest.fixture(scope="module")
def codec(prepared, tmp_path_factory) -> Path:
    recipe = CODEC_PRESETS["codec-tiny"]
    loop = replace(recipe.loop, steps=80, learning_rate=5e-3, precision="no")
    recipe = replace(recipe, loop=replace(loop, ema_decay=0.9))
    task = build_codec_task(prepared, recipe)
    return train(task, tmp_path_factory.mktemp("codec"), recipe.loop, {})


def renderer_recipe(steps: int):
    recipe = RENDERER_PRESETS["renderer-tiny"]
    loop = replace(
        recipe.loop, steps=steps, warmup_steps=2, log_every=2, save_every=2, precision="no"
    )
    return replace(recipe, loop=loop)


def test_the_codec_measures_its_latents_and_learns(codec, prepared):
    model = load_model(codec, Codec)
    assert not torch.equal(model.latent_std, torch.ones_like(model.latent_std))
    crops = read_crop_clips(prepared, "validation")[0].crops[:8]
    images = crops.permute(0, 3, 1, 2).float() / 127.5 - 1
    rows, columns = mouth_box(SIZE)
    error = (model.decode(model.encode(images)) - images)[..., rows, columns]
    assert error.square().mean() < 0.3 * images[..., rows, columns].var()
    assert 0.5 < model.encode(images).std() < 2


@pytest.mark.parametrize("kind", ["codec", "renderer", "judged renderer"])
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(kind, prepared, codec, tmp_path):
    recipe = renderer_recipe(6)
    if kind == "codec":
        recipe = replace(CODEC_PRESETS["codec-tiny"], loop=recipe.loop)
    if kind == "judged renderer":
        recipe = replace(recipe, critic_weight=0.5, critic_from=0.5)

    def task():
        if kind == "codec":
            return build_codec_task(prepared, recipe)
        return build_renderer_task(prepared, codec, prepared / "basis.safetensors", recipe)

    train(task(), tmp_path / "whole", recipe.loop, {})
    train(task(), tmp_path / "broken", recipe.loop, {}, stop_at=4)
    train(task(), tmp_path / "broken", recipe.loop, {})
    whole, broken = (load_file(tmp_path / run / "state.safetensors") for run in ("whole", "broken"))
    assert whole.keys() == broken.keys()
    assert all(torch.equal(whole[key], broken[key]) for key in whole)


def test_the_renderer_learns_that_motion_opens_the_mouth(prepared, codec, tmp_path):
    recipe = renderer_recipe(150)
    task = build_renderer_task(prepared, codec, prepared / "basis.safetensors", recipe)
    path = train(task, tmp_path, recipe.loop, {})
    renderer = load_model(path, LipRenderer)
    trained_codec = load_model(codec, Codec)
    assert torch.equal(renderer.codec.decoder[0].weight, trained_codec.decoder[0].weight)

    clips = read_rendered_clips(
        prepared, "validation", read_basis(prepared / "basis.safetensors"), SIZE
    )
    batch = clips.draw(
        replace(recipe.scenes, recoloured=0.0, degraded=0.0),
        9,
        torch.Generator().manual_seed(0),
    )
    encoded = encode_batch(renderer, batch, mouth_in_window(SIZE))
    given = task._condition(encoded, 0.0, torch.Generator())
    shut, wide = (torch.full_like(given.motion, value) for value in (-1.0, 1.0))
    with torch.no_grad():
        pool = encoded.references
        noise = torch.zeros_like(given.masked)
        dark = [
            renderer.decode(
                renderer(noise, torch.ones(len(noise)), pool, replace(given, motion=motion))
            )[:, :, 40:70, 38:58].mean()
            for motion in (shut, wide)
        ]
    # An open mouth is dark.
    assert dark[1] < dark[0] - 0.03


def test_people_are_drawn_more_evenly_than_their_frames(prepared):
    clips = read_crop_clips(prepared, "train")
    weights = {balance: clip_weights(clips, balance) for balance in (0.0, 0.5, 1.0)}
    share = {balance: (w[2] / w.sum()).item() for balance, w in weights.items()}
    assert share[1.0] == pytest.approx(1 / 3)
    assert share[0.0] == pytest.approx(1 / 2)
    assert share[1.0] < share[0.5] < share[0.0]


def test_training_that_begins_from_a_renderer_begins_where_it_stood(prepared, codec, tmp_path):
    basis, recipe = prepared / "basis.safetensors", renderer_recipe(4)
    earlier = build_renderer_task(prepared, codec, basis, recipe).renderer
    # As if it had been trained on people whose lips move otherwise.
    earlier.motion_mean.add_(0.02)
    earlier.motion_scale.fill_(0.17)
    model = build_renderer_task(prepared, codec, basis, recipe).renderer
    model.motion_scale.fill_(0.1)
    begin_from(model, earlier)
    coefficients = 0.1 * torch.randn(2, 9, 4)
    told = [
        torch.cat([m.normalised_motion(coefficients), m.normalised_motion(coefficients[:, :1])], 1)
        for m in (earlier, model)
    ]
    styles = [m.unet.motion(x.flatten(1)) for m, x in zip((earlier, model), told, strict=True)]
    assert torch.allclose(*styles, atol=1e-5)
    same = [
        torch.equal(a, b)
        for (name, a), (_, b) in zip(
            earlier.unet.named_parameters(), model.unet.named_parameters(), strict=True
        )
        if not name.startswith("motion.0")
    ]
    assert all(same)


def test_training_can_begin_from_a_renderer_of_other_sizes(prepared, codec):
    basis, recipe = prepared / "basis.safetensors", renderer_recipe(4)
    earlier = build_renderer_task(prepared, codec, basis, recipe).renderer
    config = replace(recipe.config, patch=2, knows_references=False, places_references=False)
    other = replace(recipe, config=config)
    model = build_renderer_task(prepared, codec, basis, other).renderer
    begin_from(model, earlier)
    assert torch.equal(model.unet.down.weight, earlier.unet.down.weight)
    assert model.unet.enter.weight.shape != earlier.unet.enter.weight.shape
    windows = model.unet.motion[0].weight
    assert torch.allclose(windows, earlier.unet.motion[0].weight[:, : windows.shape[1]])


def test_synthetic_heads_have_their_share_of_the_scenes(prepared, tmp_path):
    for number in range(6):
        shutil.copy(prepared / "clip0.safetensors", tmp_path / f"real{number}.safetensors")
    write_mouth_clip(tmp_path / "head.safetensors", "head", "train", 0.0, "synthetic heads")
    basis = read_basis(prepared / "basis.safetensors")
    clips = read_rendered_clips(tmp_path, "train", basis, SIZE)
    recipe = replace(RENDERER_PRESETS["renderer-tiny"].scenes, synthetic_share=0.3)
    chances = clips._chances(recipe)
    made = torch.tensor([clip.synthetic for clip in clips.clips])
    assert made.sum() == 1
    assert float(chances[made].sum() / chances.sum()) == pytest.approx(0.3)


def test_batches_are_seen_again_and_the_same_after_a_resume(prepared, codec):
    task = build_renderer_task(
        prepared, codec, prepared / "basis.safetensors", replace(renderer_recipe(4), kept=2)
    )

    def numbers(first: int) -> list[int]:
        return [task.scenes.number(n, step_generator(0, n)) for n in range(first, 30)]

    seen = numbers(0)
    assert seen[::3] == list(range(0, 30, 3))
    assert all(n % 3 == 0 and 0 <= step - n < 6 for step, n in enumerate(seen))
    assert numbers(7) == seen[7:]
    once, again = (task.scenes.at(0, step_generator(0, 0)) for _ in range(2))
    assert once is again
    for step in (3, 6):
        task.scenes.at(step, step_generator(0, step))
    made = task.scenes.at(0, step_generator(0, 0))
    assert made is not once and torch.equal(made.clean, once.clean)


def test_references_are_far_from_all_targets_of_a_scene():
    frames = torch.arange(100)
    assert distant_frames(frames, torch.tensor([50, 52]), 3).tolist() == [
        *range(21),
        *range(82, 100),
    ]
    assert sorted(distant_frames(torch.arange(20), torch.tensor([0]), 3).tolist()) == [17, 18, 19]


def test_a_scene_changes_colour_as_one(prepared):
    clips = read_rendered_clips(prepared, "train", read_basis(prepared / "basis.safetensors"), SIZE)
    recipe = replace(RENDERER_PRESETS["renderer-tiny"].scenes, scenes=8, degraded=0.0)
    batch = clips.draw(recipe, 9, torch.Generator().manual_seed(0))
    # The forehead's colour: far from mouth and mask.
    targets = batch.crops[..., 4:12, 60:68].mean((2, 3)).reshape(8, recipe.frames, 3)
    shown = batch.references[..., 4:12, 60:68].mean((2, 3)).reshape(8, recipe.references, 3)
    within = targets.std(1).mean()
    between = targets.mean(1).std(0).mean()
    assert within < 0.02 < 0.1 < between
    assert (targets.mean(1) - shown.mean(1)).abs().mean() < 0.6 * between


def test_references_in_another_light_are_lit_as_the_target_when_they_are_placed(prepared):
    """The light of the face's visible part is evened out; the references themselves keep theirs."""
    clips = read_rendered_clips(prepared, "train", read_basis(prepared / "basis.safetensors"), SIZE)
    plain = replace(
        SceneRecipe(scenes=2, frames=2), recoloured=0.0, degraded=0.0, jitter=0.0, reshaped=0.0
    )
    drawn, lit = (
        clips.draw(replace(plain, relit=relit), 5, torch.Generator().manual_seed(3))
        for relit in (0.0, 1.0)
    )
    assert torch.equal(drawn.crops, lit.crops)
    assert (drawn.references - lit.references).abs().mean() > 0.02
    changed = (drawn.references - lit.references).mean((1, 2, 3)).abs().mean()
    assert (drawn.placed - lit.placed).mean((1, 2, 3)).abs().mean() < 0.8 * changed


def test_tones_are_what_is_left_of_errors_in_the_mean_of_a_patch():
    target = torch.zeros(1, 3, 32, 32)
    checks = 0.2 * (2 * ((torch.arange(32)[:, None] + torch.arange(32)) % 2) - 1).float()
    ones, terms = torch.ones(1, 1, 32, 32), ReconstructionWeights(tones=1.0)
    fine = reconstruction_loss(target + checks, target, ones, terms)[1]
    flat = reconstruction_loss(target + 0.2, target, ones, terms)[1]
    assert fine["tones"] < 0.06 * flat["tones"] and flat["tones"] == pytest.approx(0.2, rel=0.01)
    assert fine["pixel"] == pytest.approx(flat["pixel"], rel=0.01)
    without = replace(terms, tones=0.0)
    more, less = (reconstruction_loss(target + 0.2, target, ones, t)[0] for t in (terms, without))
    assert (more - less).item() == pytest.approx(flat["tones"], rel=1e-3)
