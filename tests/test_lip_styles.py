"""Styles as users hold them: strength, blends, and files that say where they are from."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_predictor import BASIS, predicted, speech, style, tiny_predictor

from lipsync_core import weights
from lipsync_core.checkpoint import VERSION, load_model, read_metadata, save_model
from lipsync_core.errors import ModelError, NoFaceError
from lipsync_core.media.fingerprint import file_fingerprint, named_fingerprint
from lipsync_core.motion.predictor import MotionPredictor
from lipsync_core.motion.style import blend_styles, extend_style, make_style_reference
from lipsync_core.motion.style_code import WIDE
from lipsync_core.motion.style_file import load_style, save_style
from lipsync_core.types import LipMotion, SpeechFeatures, StyleReference

STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)


@pytest.fixture(scope="module")
def predictor() -> MotionPredictor:
    return tiny_predictor()


@pytest.fixture(scope="module")
def shipped() -> MotionPredictor:
    path = weights.SHIPPED / "motion_predictor.safetensors"
    if not path.is_file():
        pytest.skip("no shipped predictor")
    return load_model(path, MotionPredictor)


def wandering(steps: int, width: int, memory: float, generator: torch.Generator) -> torch.Tensor:
    """Noise of variance 1 that is like itself a step before."""
    values = torch.randn(steps, width, generator=generator)
    for step in range(1, steps):
        values[step] = memory * values[step - 1] + (1 - memory**2) ** 0.5 * values[step]
    return values


def wide_style(steps: int, channels: int = 768, seed: int = 0) -> StyleReference:
    """As many speech features as Whisper gives, of all sizes, that change as quickly as they do."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.logspace(-1, 0.7, channels)
    middle = torch.randn(channels, generator=generator)
    features = (wandering(steps, channels, 0.54, generator) + middle) * scale
    motion = 0.1 * wandering(steps, 24, 0.9, generator)
    valid = torch.ones(steps, dtype=torch.bool)
    return make_style_reference(
        SpeechFeatures(features, "whisper-tiny:2+4"), LipMotion(motion, valid, BASIS.id), "clip"
    )


def same(first: StyleReference, second: StyleReference) -> bool:
    return all(
        torch.equal(a, b)
        for a, b in (
            (first.speech.features, second.speech.features),
            (first.motion.coefficients, second.motion.coefficients),
            (first.motion.valid, second.motion.valid),
            (first.clip, second.clip),
            (first.weight, second.weight),
        )
    ) and (first.source, first.speech.encoder) == (second.source, second.speech.encoder)


# Strength


def test_strength_runs_from_null_through_the_style_and_beyond(predictor):
    free = predicted(predictor, speech(30))
    styled = predicted(predictor, speech(30), style(30))
    for strength in STRENGTHS:
        motion = predicted(predictor, speech(30), style(30), strength)
        assert torch.allclose(motion, free + strength * (styled - free), atol=1e-5)
    assert torch.equal(predicted(predictor, speech(30), style(30), 0.0), free)
    assert torch.equal(predicted(predictor, speech(30), style(30), 1.0), styled)


def test_the_shipped_predictor_leaves_the_null_style_as_strength_rises(shipped):
    kept = load_style(weights.SHIPPED / "demo_style.safetensors")
    said = replace(kept.speech, features=kept.speech.features[:100].flip(0))
    free = predicted(shipped, said)
    away = [(predicted(shipped, said, kept, s) - free).norm().item() for s in STRENGTHS]
    assert away[0] == 0
    assert all(after > before * 1.2 for before, after in itertools.pairwise(away))


# Blends


def test_a_blend_of_one_is_that_style(predictor):
    first, second = style(30, 1), style(90, 2)
    for shares, alone in (((1.0, 0.0), first), ((0.0, 2.0), second)):
        blend = blend_styles((first, second), shares)
        assert torch.equal(
            predicted(predictor, speech(40), blend), predicted(predictor, speech(40), alone)
        )


def test_blends_lie_between(predictor):
    first, second = style(30, 1), style(90, 2)
    ends = [predicted(predictor, speech(40), end) for end in (first, second)]
    blends = [
        predicted(predictor, speech(40), blend_styles((first, second), (1 - share, share)))
        for share in (0.01, 0.1, 0.5, 0.9, 0.99)
    ]
    apart = (ends[1] - ends[0]).norm()
    to_first, to_second = ([(blend - end).norm() for blend in blends] for end in ends)
    assert to_first == sorted(to_first) and to_second == sorted(to_second, reverse=True)
    assert to_first[2] < apart and to_second[2] < apart
    along = ((blends[2] - ends[0]) * (ends[1] - ends[0])).sum() / apart**2
    assert 0.2 < along < 0.8


def test_blends_have_no_order_and_nest(predictor):
    styles, shares = [style(20 + 10 * n, n) for n in (1, 2, 3)], (1.0, 2.0, 5.0)
    expected = predicted(predictor, speech(40), blend_styles(styles, shares))
    for order in itertools.permutations(range(3)):
        blend = blend_styles([styles[i] for i in order], [shares[i] for i in order])
        assert torch.allclose(predicted(predictor, speech(40), blend), expected, atol=1e-5)
    larger = [10 * share for share in shares]
    assert torch.allclose(
        predicted(predictor, speech(40), blend_styles(styles, larger)), expected, atol=1e-5
    )


def test_a_style_blended_with_itself_is_itself(predictor):
    alone = predicted(predictor, speech(40), style(30))
    for shares in ((1.0, 1.0), (0.2, 3.0)):
        blend = blend_styles((style(30), style(30)), shares)
        assert torch.allclose(predicted(predictor, speech(40), blend), alone, atol=1e-5)


def test_blends_give_shares_to_styles_not_to_their_length():
    blend = blend_styles((style(30, 1), style(90, 2)), (1.0, 1.0))
    assert torch.isclose(blend.weight[:30].sum(), blend.weight[30:].sum())
    assert torch.isclose(blend.weight.sum(), torch.tensor(60.0))


def test_unseen_steps_take_no_share(predictor):
    """A style's clip that goes on without a face weighs as much as before."""
    first, second = style(30, 1), style(40, 2)
    longer = extend_style(first, style(50, 3))
    valid = torch.arange(80) < 30
    unseen = replace(longer, motion=replace(longer.motion, valid=valid))
    expected, blend = (
        predicted(predictor, speech(40), blend_styles((one, second), (1.0, 1.0)))
        for one in (first, unseen)
    )
    assert torch.allclose(blend, expected, atol=1e-5)


@pytest.mark.parametrize("shares", [(0.0, 0.0), (1.0, -0.5), (1.0,), ()])
def test_bad_shares_are_refused(shares):
    with pytest.raises(ValueError, match="share"):
        blend_styles((style(10), style(10)), shares)


# Making and extending


def test_an_extended_style_keeps_clips_weights_and_sources():
    blend = blend_styles((style(30, 1), style(20, 2)), (1.0, 3.0))
    extended = extend_style(blend, style(10, 3), style(10, 1))
    assert extended.clip.unique_consecutive(return_counts=True)[1].tolist() == [30, 20, 10, 10]
    assert torch.equal(extended.weight[:50], blend.weight) and (extended.weight[50:] == 1).all()
    assert extended.source == "clip 1; clip 2; clip 3"


def test_styles_of_two_predictors_never_meet():
    other = replace(style(10), motion=replace(style(10).motion, basis="lip-pca:other"))
    for join in (extend_style, lambda *styles: blend_styles(styles, (1.0, 1.0))):
        with pytest.raises(ValueError, match="motion basis"):
            join(style(10), other)


def test_a_style_is_cut_to_the_shorter_and_must_show_lips():
    motion = LipMotion(torch.zeros(7, BASIS.size), torch.ones(7, dtype=torch.bool), BASIS.id)
    assert len(make_style_reference(speech(9), motion).weight) == 7
    hidden = replace(motion, valid=torch.zeros(7, dtype=torch.bool))
    with pytest.raises(NoFaceError, match="pick a clip"):
        make_style_reference(speech(9), hidden)


# Files


def test_a_style_file_keeps_the_style(predictor, tmp_path):
    kept = extend_style(blend_styles((style(30, 1), style(20, 2)), (1.0, 3.0)), style(9, 3))
    save_style(tmp_path / "style.safetensors", kept)
    loaded = load_style(tmp_path / "style.safetensors")
    assert loaded.source == "clip 1; clip 2; clip 3"
    assert torch.equal(loaded.clip, kept.clip) and torch.equal(loaded.weight, kept.weight)
    assert torch.equal(loaded.motion.valid, kept.motion.valid)
    assert torch.allclose(loaded.speech.features, kept.speech.features, rtol=1e-3, atol=1e-3)
    apart = predicted(predictor, speech(40), loaded) - predicted(predictor, speech(40), kept)
    effect = predicted(predictor, speech(40), kept) - predicted(predictor, speech(40))
    assert apart.norm() < 0.03 * effect.norm()


@pytest.mark.parametrize("steps", [1, 2, 75, 226])
def test_wide_features_are_rounded_within_their_spread(steps, tmp_path):
    kept = wide_style(steps)
    save_style(tmp_path / "style.safetensors", kept)
    loaded = load_style(tmp_path / "style.safetensors")
    spread = kept.speech.features.std(0, correction=0)
    error = (loaded.speech.features - kept.speech.features).abs()
    assert (error <= spread + 2**-8).all()
    assert torch.allclose(loaded.motion.coefficients, kept.motion.coefficients, atol=1e-2)


def test_a_style_saved_again_is_the_same(tmp_path):
    """However often it is loaded, extended and saved, it is rounded once."""
    save_style(tmp_path / "0.safetensors", wide_style(100))
    first = load_style(tmp_path / "0.safetensors")
    again = first
    for _ in range(3):
        save_style(tmp_path / "1.safetensors", again)
        again = load_style(tmp_path / "1.safetensors")
    assert same(again, first)


@pytest.mark.parametrize("seconds", [9, 30])
def test_a_style_file_is_small(seconds, tmp_path):
    """Below 5 kB per second, though nothing in these numbers repeats itself."""
    path = tmp_path / "style.safetensors"
    save_style(path, wide_style(25 * seconds))
    assert path.stat().st_size <= 5000 * seconds


def test_the_shipped_predictor_sees_no_difference_in_a_saved_style(shipped, tmp_path):
    """On average less than .15 % of the distance between the eyes; and the file is small."""
    rounded = load_style(weights.SHIPPED / "demo_style.safetensors")
    assert len(rounded.weight) > 200
    heard = rounded.speech.features
    noise = torch.randn(heard.shape, generator=torch.Generator().manual_seed(0))
    features = heard + 0.3 * heard.std(0) * noise
    kept = replace(rounded, speech=replace(rounded.speech, features=features))
    path = tmp_path / "style.safetensors"
    save_style(path, kept)
    assert path.stat().st_size < 5000 * len(kept.weight) / 25
    said = replace(kept.speech, features=kept.speech.features[:150])
    before, after = (
        shipped.basis.displacement(predicted(shipped, said, one))
        for one in (kept, load_style(path))
    )
    assert (after - before).norm(dim=-1).mean() < 0.0015


def test_motion_of_unseen_steps_is_not_kept(tmp_path):
    seen = style(40)
    valid = torch.arange(40) < 25
    garbage = seen.motion.coefficients.clone()
    garbage[25:] = 50.0
    spoiled = replace(seen, motion=replace(seen.motion, coefficients=garbage, valid=valid))
    save_style(tmp_path / "style.safetensors", spoiled)
    loaded = load_style(tmp_path / "style.safetensors").motion
    assert (loaded.coefficients[25:] == 0).all() and torch.equal(loaded.valid, valid)
    assert (loaded.coefficients[:25] - garbage[:25]).abs().max() < 0.05


def test_a_style_file_says_where_it_is_from(tmp_path):
    path = tmp_path / "style.safetensors"
    save_style(path, extend_style(style(30, 1), style(20, 2)))
    facts = read_metadata(path)
    assert facts["source"] == "clip 1; clip 2"
    assert facts["lipstyle.version"] == VERSION
    assert (facts["encoder"], facts["basis"]) == (speech(1).encoder, BASIS.id)


def test_files_of_the_first_format_are_read(tmp_path):
    kept = extend_style(style(30, 1), style(20, 2))
    tensors = {
        "speech": kept.speech.features.half(),
        "motion": kept.motion.coefficients.half(),
        "valid": kept.motion.valid,
        "clip": kept.clip.to(torch.int32),
        "weight": kept.weight,
    }
    facts = {"lipstyle.kind": "StyleReference", "lipstyle.format": "1", "source": kept.source}
    facts |= {"encoder": kept.speech.encoder, "basis": kept.motion.basis}
    save_file(tensors, tmp_path / "style.safetensors", facts)
    loaded = load_style(tmp_path / "style.safetensors")
    assert torch.allclose(loaded.speech.features, kept.speech.features, atol=1e-2)
    assert torch.equal(loaded.clip, kept.clip) and loaded.source == kept.source


def test_a_file_that_is_no_style_is_refused(predictor, tmp_path):
    path: Path = tmp_path / "predictor.safetensors"
    save_model(path, predictor, {})
    with pytest.raises(ModelError, match="holds MotionPredictor"):
        load_style(path)
    with pytest.raises(ModelError, match="no weight file"):
        load_style(tmp_path / "absent.safetensors")
    whole = tmp_path / "style.safetensors"
    save_style(whole, style(30))
    whole.write_bytes(whole.read_bytes()[:-10])
    with pytest.raises(ModelError, match="damaged"):
        load_style(whole)
    for other in (b"", b"PK\x03\x04 not safetensors", b"\x80\x04\x95 a pickle"):
        whole.write_bytes(other)
        with pytest.raises(ModelError, match="not a readable"):
            load_style(whole)


@pytest.mark.parametrize(
    "damage",
    [
        lambda t: t.pop("motion"),
        lambda t: t.update(speech=t["speech"][:-9]),
        lambda t: t.update(speech=t["speech"].flip(0)),
        lambda t: t.update(speech=torch.full((40, 3), torch.nan)),
        lambda t: t.update(speech=torch.zeros(3, WIDE)),
        lambda t: t.update(motion=torch.zeros(40)),
        lambda t: t.update(seen=t["seen"][:-1]),
        lambda t: t.update(seen=torch.zeros_like(t["seen"])),
        lambda t: t.update(seen=t["seen"].to(torch.int32)),
        lambda t: t.update(run_steps=-t["run_steps"]),
        lambda t: t.update(run_weight=-t["run_weight"]),
        lambda t: t.update(run_clip=t["run_clip"].flip(0)),
    ],
)
def test_a_damaged_style_is_refused(damage, tmp_path):
    path = tmp_path / "style.safetensors"
    save_style(path, extend_style(wide_style(20, WIDE), wide_style(20, WIDE, 1)))
    assert len(load_style(path).weight) == 40
    facts, tensors = read_metadata(path), load_file(path)
    damage(tensors)
    save_file(tensors, path, facts)
    with pytest.raises(ModelError, match="not a whole style file"):
        load_style(path)


def test_a_clip_is_named_without_its_folder(tmp_path):
    path = tmp_path / "private" / "clip.mp4"
    path.parent.mkdir()
    path.write_bytes(b"pictures")
    assert named_fingerprint(path) == f"clip.mp4 (sha256 {file_fingerprint(path)})"
