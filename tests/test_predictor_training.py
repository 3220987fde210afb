"""Learning to predict: styles are real transforms, and the reference is what decides the style.

One small predictor is taught for all tests, on two made-up people who differ only in how far they
open their mouths.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from synthetic_motion import (
    ENCODER,
    SPEECH_WIDTH,
    made_up_speech,
    spoken,
    write_made_up_clips,
)

from lipsync_core.checkpoint import load_model
from lipsync_core.errors import TrainingError
from lipsync_core.motion.prediction import predict_lip_motion
from lipsync_core.motion.predictor import MotionPredictor, MotionPredictorConfig
from lipsync_core.motion.style import extend_style, make_style_reference
from lipsync_core.training.loop import LoopRecipe, train
from lipsync_core.training.motion_clips import by_person, lip_gap, read_motion_clips
from lipsync_core.training.motion_groups import GroupRecipe
from lipsync_core.training.predictor import PredictorRecipe, build_predictor_task, keeps_still
from lipsync_core.training.silence import write_silence
from lipsync_core.training.style_transforms import (
    ContentGates,
    StyleChances,
    apply_styles,
    draw_styles,
    no_styles,
)
from lipsync_core.types import LipMotion, SpeechFeatures, StyleReference

SILENCE = 4.0
"""The made-up encoder's output in silence, on every channel: nothing that speech reaches."""
NO_STYLE = StyleChances(**{part: 0.0 for part in StyleChances.__dataclass_fields__})
RECIPE = PredictorRecipe(
    config=MotionPredictorConfig(
        basis="",
        encoder="",
        motion_size=2,
        width=48,
        heads=2,
        encoder_layers=1,
        decoder_layers=1,
        dropout=0.0,
    ),
    loop=LoopRecipe(
        steps=250,
        learning_rate=3e-3,
        warmup_steps=10,
        ema_decay=0.95,
        log_every=25,
        validate_every=250,
        save_every=250,
        precision="no",
    ),
    group=GroupRecipe(
        styles=replace(NO_STYLE, shape=0.9),
        clips=(3,),
        steps=30,
        short_share=0.0,
        retimed_share=0.0,
        silence_share=0.2,
        neutral_noise=0.0,
        speech_noise=0.05,
        motion_noise=0.01,
    ),
    one_sided_components=0,
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    write_made_up_clips(folder)
    write_silence(folder, torch.full((2, 40, SPEECH_WIDTH), SILENCE).half())
    return folder


@pytest.fixture(scope="module")
def run(prepared, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(build_predictor_task(prepared, RECIPE), folder, RECIPE.loop, {"data": "made up"})
    return folder


@pytest.fixture(scope="module")
def predictor(run) -> MotionPredictor:
    return load_model(run / "model.safetensors", MotionPredictor)


@pytest.fixture(scope="module")
def figures(run) -> dict[str, float]:
    """What validation said at the end."""
    return json.loads((run / "stats.jsonl").read_text().splitlines()[-1])


def style_of(predictor: MotionPredictor, gain: float, seed: int = 7) -> StyleReference:
    """Four clips of a stranger whose mouth opens by `gain`."""
    generator = torch.Generator().manual_seed(seed)
    clips = []
    for _ in range(4):
        speech = made_up_speech(40, generator)
        motion = predictor.basis.project(spoken(speech, gain))
        clips.append(
            make_style_reference(
                SpeechFeatures(speech, ENCODER),
                LipMotion(motion, torch.ones(40, dtype=torch.bool), predictor.config.basis),
            )
        )
    return extend_style(*clips)


def new_speech(steps: int = 60) -> SpeechFeatures:
    return SpeechFeatures(made_up_speech(steps, torch.Generator().manual_seed(99)), ENCODER)


def gap(predictor: MotionPredictor, motion: LipMotion) -> torch.Tensor:
    return lip_gap(predictor.basis.displacement(motion.coefficients))


def test_it_learns_to_speak(run, figures):
    losses = [json.loads(line)["loss"] for line in (run / "stats.jsonl").read_text().splitlines()]
    assert sum(losses[-3:]) / 3 < 0.7 * losses[0]
    assert figures["own/right/r"] > 0.9


def test_the_right_style_beats_none_beats_the_wrong_one(figures):
    assert figures["shape/right/error"] < 0.9 * figures["shape/null/error"]
    assert figures["shape/right/error"] < 0.8 * figures["shape/wrong/error"]
    assert figures["shape/captured"] > 0.3


def test_the_same_speech_in_another_style_is_another_motion(predictor):
    quiet, broad = (
        gap(predictor, predict_lip_motion(predictor, new_speech(), style_of(predictor, gain)))
        for gain in (0.7, 1.8)
    )
    # The people opened by 1.0 and 1.6; these gains were never seen.
    assert broad.mean() > 1.5 * quiet.mean()


def test_strength_scales_the_style(predictor):
    style = style_of(predictor, 1.8)
    means = [
        gap(predictor, predict_lip_motion(predictor, new_speech(), style, strength)).mean()
        for strength in (0.0, 0.5, 1.0, 1.5)
    ]
    assert means == sorted(means)


def test_reference_speech_gives_back_its_own_motion(predictor):
    """The method's claim in small: like sounds are spoken with the lips seen with them."""
    style = style_of(predictor, 1.8)
    true = predictor.basis.displacement(style.motion.coefficients)[:40]
    heard = SpeechFeatures(style.speech.features[:40], ENCODER)

    def error(reference: StyleReference | None) -> float:
        predicted = predict_lip_motion(predictor, heard, reference)
        points = predictor.basis.displacement(predicted.coefficients)
        return float((points - true).norm(dim=-1).mean())

    assert error(style) < 0.5 * error(None)


def test_the_mouth_is_closed_in_silence(predictor):
    speech = new_speech(60).features.clone()
    speech[30:] = SILENCE
    for style in (None, style_of(predictor, 1.0)):
        motion = predict_lip_motion(predictor, SpeechFeatures(speech, ENCODER), style)
        opening = gap(predictor, motion)
        assert opening[33:].abs().mean() < 0.25 * opening[:27].mean()


def test_the_header_says_what_it_needs(predictor):
    assert predictor.config.encoder == ENCODER
    assert predictor.config.basis == predictor.basis.id


def test_gradient_reaches_the_style(predictor):
    style = style_of(predictor, 1.5)
    motion = style.motion.coefficients[None, None, :80].expand(1, 2, -1, -1).clone()
    motion.requires_grad_()
    speech = style.speech.features[None, None, :80].expand(1, 2, -1, -1)
    sees = torch.tensor([[[False, True], [False, False]]])
    valid = torch.ones(1, 2, 80, dtype=torch.bool)
    predicted, _ = predictor(speech, motion, valid, sees, valid)
    predicted[:, 0].square().sum().backward()
    gradient = motion.grad
    assert gradient is not None
    assert gradient[0, 1].abs().max() > 0
    assert gradient[0, 0].abs().max() == 0, "a target must not see its own motion"


def test_the_same_step_draws_the_same_batch(prepared):
    task = build_predictor_task(prepared, RECIPE)
    first, second = (
        task.groups.draw(RECIPE.group, torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert torch.equal(first.shown, second.shown) and torch.equal(first.speech, second.speech)


def test_null_targets_are_unstyled_and_no_one_sees_themselves(prepared):
    task = build_predictor_task(prepared, RECIPE)
    recipe = replace(RECIPE.group, groups=60, unstyled_share=0.0, null_share=0.3)
    group = task.groups.draw(recipe, torch.Generator().manual_seed(0))
    null = ~group.sees.any(dim=-1)
    assert 0.2 < null.float().mean() < 0.4
    assert not group.sees.diagonal(dim1=1, dim2=2).any()
    assert torch.equal(group.target[null], group.plain[null])
    assert not torch.allclose(group.target[~null], group.plain[~null], atol=1e-3)


def test_one_person_with_one_clip_is_cut_into_pieces(prepared):
    clips = read_motion_clips(prepared, "train")
    alone = [clip for clip in clips if clip.person == "anna"][:1]
    long = replace(
        alone[0],
        speech=alone[0].speech.repeat(1, 2, 1),
        displacement=alone[0].displacement.repeat(2, 1, 1),
        valid=alone[0].valid.repeat(2),
    )
    pieces = by_person([long])["anna"]
    assert [piece.steps for piece in pieces] == [26, 27, 27]
    assert torch.equal(torch.cat([p.displacement for p in pieces]), long.displacement)


def test_clips_of_two_encoders_are_refused(prepared, tmp_path):
    source = next(prepared.rglob("anna0.safetensors"))
    from safetensors import safe_open

    write_made_up_clips(tmp_path)
    with safe_open(source, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata() | {"encoder": "made-up:2", "person": "carl"}
    save_file(tensors, tmp_path / "carl.safetensors", metadata)
    with pytest.raises(TrainingError, match="made-up:2"):
        build_predictor_task(tmp_path, RECIPE)


def test_a_trained_predictor_is_taken_up_where_it_stands(prepared, run, predictor, tmp_path):
    start = load_model(run / "model.safetensors", MotionPredictor)
    task = build_predictor_task(prepared, RECIPE, start=start)
    assert task.model.basis.id == predictor.basis.id
    more = replace(RECIPE.loop, steps=2, learning_rate=1e-6, validate_every=2, log_every=1)
    path = train(task, tmp_path, more, {})
    further = load_model(path, MotionPredictor)
    style, speech = style_of(predictor, 1.5), made_up_speech(60, torch.Generator().manual_seed(8))
    first, second = (
        predict_lip_motion(p, SpeechFeatures(speech, ENCODER), style).coefficients
        for p in (predictor, further)
    )
    assert torch.allclose(first, second, atol=1e-3), "two tiny steps change next to nothing"
    assert not torch.equal(first, second)


def test_a_predictor_that_listens_otherwise_is_no_start(prepared, predictor):
    deaf = MotionPredictor(replace(predictor.config, encoder="made-up:2"))
    with pytest.raises(TrainingError, match="made-up:2"):
        build_predictor_task(prepared, RECIPE, start=deaf)


# Styles


def made_up_motion() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        "motion": torch.randn(40, 2, 30, 12, generator=generator).cumsum(2) * 0.3,
        "posteriors": torch.rand(40, 2, 30, 48, generator=generator).softmax(dim=-1),
        "components": torch.randn(40, 2, 30, 16, generator=generator),
        "closed": torch.rand(40, 2, 30, generator=generator),
        "opening": torch.ones(12),
        "sides": torch.eye(12).roll(1, dims=1),
    }


def test_no_style_changes_nothing():
    data = made_up_motion()
    assert torch.allclose(apply_styles(no_styles(40, 12), **data), data["motion"], atol=1e-5)


@pytest.mark.parametrize("part", list(StyleChances.__dataclass_fields__))
def test_every_part_of_a_style_changes_motion(part):
    data = made_up_motion()
    only = replace(NO_STYLE, **{part: 1.0})
    styles = draw_styles(40, 12, torch.Generator().manual_seed(0), only)
    changed = (apply_styles(styles, **data) - data["motion"]).abs().amax(dim=(1, 2, 3)) > 1e-2
    assert changed.float().mean() > 0.6


def test_lag_delays():
    data = made_up_motion()
    only = replace(NO_STYLE, lag=1.0)
    styles = draw_styles(40, 12, torch.Generator().manual_seed(0), only)
    styled = apply_styles(styles, **data)
    for lag in (-2, 1, 2):
        group = int((styles.kernel.argmax(dim=1) == 6 + lag).nonzero()[0])
        expected = data["motion"][group].roll(lag, dims=1)
        assert torch.allclose(styled[group, :, 4:-4], expected[:, 4:-4], atol=1e-4)


def test_gates_tell_sounds_apart():
    generator = torch.Generator().manual_seed(0)
    centres = 5 * torch.randn(3, 20, generator=generator)
    which = torch.arange(300) // 100
    features = centres[which] + 0.3 * torch.randn(300, 20, generator=generator)
    gates = ContentGates.fit(features, generator, components=3, clusters=(3,))
    posteriors, components = gates(features)
    assert components.shape == (300, 3) and gates.sizes == (3, 3)
    assert torch.allclose(posteriors.sum(dim=1), torch.ones(300), atol=1e-4)
    likeliest = posteriors.argmax(dim=1)
    inside = [likeliest[100 * sound + 5 : 100 * sound + 95] for sound in range(3)]
    assert all((own == own[0]).all() for own in inside)
    assert len({int(own[0]) for own in inside}) == 3


def test_lips_rest_where_they_stay_as_they_are():
    """A closure between two vowels is no rest; lips that shut and stay so rest from that step."""
    gap = torch.zeros(1, 1, 30)
    gap[..., :8] = 5 + torch.arange(8) % 3
    gap[..., 10:14] = 4 + torch.arange(4) % 2
    still = keeps_still(gap)[0, 0]
    assert not still[:14].any() and still[14:].all()


def test_the_rest_has_its_own_weight(prepared):
    def loss_of(weight: float) -> tuple[float, dict[str, float]]:
        task = build_predictor_task(prepared, replace(RECIPE, rest_weight=weight))
        task.model.eval()
        loss, figures = task.loss(task.model, 0, torch.Generator().manual_seed(0))
        return loss.item(), figures

    (without, figures), (with_it, same) = loss_of(0.0), loss_of(2.0)
    assert figures["rest"] > 0 and figures == same
    assert with_it - without == pytest.approx(2 * figures["rest"], rel=1e-3)
    assert figures["rest"] <= figures["closure"]
