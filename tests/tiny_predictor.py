"""A tiny predictor of random weights, large enough for a style to show, and what it is fed."""

import torch
from synthetic_motion import ENCODER, SPEECH_WIDTH, made_up_basis, made_up_speech

from lipsync_core.motion.prediction import predict_lip_motion
from lipsync_core.motion.predictor import MotionPredictor, MotionPredictorConfig
from lipsync_core.motion.style import make_style_reference
from lipsync_core.types import LipMotion, SpeechFeatures, StyleReference

BASIS = made_up_basis()


def tiny_predictor(
    encoder: str = ENCODER, speech_width: int = SPEECH_WIDTH, ahead: int | None = None
) -> MotionPredictor:
    torch.manual_seed(0)
    config = MotionPredictorConfig(
        basis=BASIS.id,
        encoder=encoder,
        speech_width=speech_width,
        motion_size=BASIS.size,
        width=48,
        heads=2,
        attention_reach=6,
        attention_ahead=ahead,
    )
    model = MotionPredictor(config)
    model.basis_components.copy_(BASIS.components)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(2)
    return model.eval().requires_grad_(False)


def speech(steps: int, seed: int = 0) -> SpeechFeatures:
    return SpeechFeatures(made_up_speech(steps, torch.Generator().manual_seed(seed)), ENCODER)


def style(steps: int, seed: int = 1) -> StyleReference:
    motion = torch.randn(steps, BASIS.size, generator=torch.Generator().manual_seed(seed))
    valid = torch.ones(steps, dtype=torch.bool)
    return make_style_reference(
        speech(steps, seed), LipMotion(motion, valid, BASIS.id), f"clip {seed}"
    )


def predicted(predictor: MotionPredictor, *args, **kwargs) -> torch.Tensor:
    return predict_lip_motion(predictor, *args, **kwargs).coefficients
