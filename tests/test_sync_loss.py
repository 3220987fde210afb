"""The loss in motion space: it asks for what an expert finds in true lips, and for no more."""

from dataclasses import replace

import pytest
import torch
from synthetic_motion import ENCODER, SPEECH_WIDTH, made_up_speech, spoken, write_made_up_clips

from lipsync_core.errors import TrainingError
from lipsync_core.motion.basis import LipMotionBasis, fit_basis
from lipsync_core.sync.expert import PIXELS, SyncExpert, SyncExpertConfig
from lipsync_core.training.predictor import PRESETS, build_predictor_task
from lipsync_core.training.sync_loss import MotionSyncLoss

CONFIG = SyncExpertConfig(encoder=ENCODER, speech_width=SPEECH_WIDTH, width=16, embedding=8)
SHAPE = (1, 2, 50)
VALID = torch.ones(SHAPE, dtype=torch.bool)


@pytest.fixture
def expert() -> SyncExpert:
    torch.manual_seed(0)
    return SyncExpert(CONFIG)


@pytest.fixture
def clip() -> tuple[LipMotionBasis, torch.Tensor, torch.Tensor]:
    """A basis, motion b g t m that follows speech, and that speech b g t d."""
    generator = torch.Generator().manual_seed(1)
    speech = torch.stack([made_up_speech(SHAPE[2], generator) for _ in range(2)])
    points = torch.stack([spoken(s, 1.0) for s in speech])
    basis = fit_basis([points.flatten(0, 1)], 4)
    return basis, basis.project(points)[None], speech[None]


def test_true_lips_lack_nothing_and_others_do(expert, clip):
    basis, motion, speech = clip
    loss = MotionSyncLoss(expert, basis, ENCODER)
    assert loss(motion, motion, speech, VALID) == 0
    noise = torch.randn(motion.shape, generator=torch.Generator().manual_seed(2))
    assert loss(motion + noise, motion, speech, VALID) > 0.01
    assert loss(motion, motion + noise, speech, VALID) >= 0


def test_following_its_gradient_makes_up_the_shortfall(expert, clip):
    basis, motion, speech = clip
    loss = MotionSyncLoss(expert, basis, ENCODER)
    still = torch.zeros_like(motion).add_(1e-3).requires_grad_(True)
    before = loss(still, motion, speech, VALID)
    optimizer = torch.optim.Adam([still], 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        loss(still, motion, speech, VALID).backward()
        optimizer.step()
    assert loss(still, motion, speech, VALID) < before / 2
    assert not any(p.requires_grad for p in expert.parameters())


def test_hidden_steps_do_not_count(expert, clip):
    basis, motion, speech = clip
    loss = MotionSyncLoss(expert, basis, ENCODER)
    seen = VALID.clone()
    seen[..., 20:] = False
    spoilt = motion.clone()
    spoilt[..., 20:, :] += 3
    assert loss(spoilt, motion, speech, seen) == 0


@pytest.mark.parametrize(
    ("change", "found"), [({"sees": PIXELS}, "sees pixels"), ({"encoder": "other:1"}, "other:1")]
)
def test_a_teacher_must_see_landmarks_and_hear_alike(clip, change, found):
    with pytest.raises(TrainingError, match=found):
        MotionSyncLoss(SyncExpert(replace(CONFIG, **change)), clip[0], ENCODER)


def test_a_weight_needs_a_teacher_and_a_teacher_is_asked(expert, tmp_path):
    write_made_up_clips(tmp_path)
    recipe = replace(PRESETS["predictor-tiny"], sync_weight=1.0)
    with pytest.raises(TrainingError, match="teacher"):
        build_predictor_task(tmp_path, recipe)
    task = build_predictor_task(tmp_path, recipe, teacher=expert)
    task.model.eval()  # no dropout, or the two would differ by chance
    total, figures = task.loss(task.model, 1, torch.Generator().manual_seed(0))
    task.recipe = replace(task.recipe, sync_weight=0.0)
    without, _ = task.loss(task.model, 1, torch.Generator().manual_seed(0))
    assert figures["sync"] > 0
    assert (total - without).item() == pytest.approx(figures["sync"], rel=0.05)
