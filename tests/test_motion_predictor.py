"""The predictor: windows equal the whole, a set has no order, unseen pairs do not count."""

from dataclasses import replace

import pytest
import torch
from synthetic_motion import ENCODER, SPEECH_WIDTH
from tiny_predictor import BASIS, predicted, speech, style, tiny_predictor

from lipsync_core.checkpoint import load_model, save_model
from lipsync_core.motion import prediction
from lipsync_core.motion.prediction import predict_lip_motion
from lipsync_core.motion.predictor import MotionPredictor, MotionPredictorConfig, Reach
from lipsync_core.motion.style import extend_style
from lipsync_core.types import SpeechFeatures


@pytest.fixture(scope="module")
def predictor() -> MotionPredictor:
    return tiny_predictor()


def with_ahead(predictor: MotionPredictor, ahead: int | None) -> MotionPredictor:
    """The same weights seeing another stretch of the future."""
    other = MotionPredictor(replace(predictor.config, attention_ahead=ahead))
    other.load_state_dict(predictor.state_dict())
    return other.eval().requires_grad_(False)


def reach(predictor: MotionPredictor) -> Reach:
    """Of speech to motion."""
    pairs = zip(predictor.encoder_reach, predictor.decoder_reach, strict=True)
    return Reach(*(encoder + decoder for encoder, decoder in pairs))


def hearing_steps(predictor: MotionPredictor, changed: int) -> tuple[int, int]:
    """The first and the last of 200 steps that hear another sound at step `changed`."""
    first, second = speech(200).features, speech(200).features.clone()
    second[changed] += 3
    before, after = (
        predicted(predictor, SpeechFeatures(f, ENCODER), style(20)) for f in (first, second)
    )
    moved = (before - after).abs().amax(dim=1).nonzero()[:, 0]
    return int(moved.min()), int(moved.max())


def test_has_the_paper_size():
    config = MotionPredictorConfig(basis="", encoder="")
    assert sum(p.numel() for p in MotionPredictor(config).parameters()) < 2.5e6


def test_a_saved_model_predicts_the_same(predictor, tmp_path):
    save_model(tmp_path / "predictor.safetensors", predictor, {}, dtype=torch.float32)
    loaded = load_model(tmp_path / "predictor.safetensors", MotionPredictor)
    assert loaded.basis.id == BASIS.id
    expected = predicted(predictor, speech(30), style(20))
    assert torch.equal(predicted(loaded, speech(30), style(20)), expected)


def test_one_step_per_speech_step(predictor):
    for steps in (1, 2, 40):
        motion = predict_lip_motion(predictor, speech(steps), style(20))
        assert motion.coefficients.shape == (steps, BASIS.size)
        assert motion.valid.all() and motion.basis == BASIS.id


@pytest.mark.parametrize("ahead", [None, 2])
def test_windows_equal_the_whole(predictor, monkeypatch, ahead):
    predictor, long, reference = with_ahead(predictor, ahead), speech(700), style(150)
    monkeypatch.setattr(prediction, "CHUNK", 700)
    whole = predicted(predictor, long, reference)
    for chunk in (256, 97, 64):
        monkeypatch.setattr(prediction, "CHUNK", chunk)
        assert torch.allclose(predicted(predictor, long, reference), whole, atol=1e-5)


def test_a_step_hears_only_its_neighbourhood(predictor):
    """The bound that windows rely on is tight enough to be worth it and is kept."""
    assert hearing_steps(predictor, 100) == (
        100 - reach(predictor).ahead,
        100 + reach(predictor).past,
    )


def test_the_future_may_be_seen_less_far_than_the_past(predictor):
    for ahead in (0, 2):
        eager = with_ahead(predictor, ahead)
        assert reach(eager) == (reach(predictor).past, 2 * 2 * ahead + 2)
        assert hearing_steps(eager, 100) == (100 - reach(eager).ahead, 100 + reach(eager).past)


def test_reference_clips_have_no_order(predictor):
    clips = [style(25, seed) for seed in (1, 2, 3)]
    forward = predicted(predictor, speech(40), extend_style(*clips))
    backward = predicted(predictor, speech(40), extend_style(*clips[::-1]))
    assert torch.allclose(forward, backward, atol=1e-4)
    assert not torch.allclose(forward, predicted(predictor, speech(40), clips[0]), atol=1e-3)


def test_pairs_are_heard_with_their_own_motion(predictor):
    """Giving every sound another sound's motion changes what is predicted."""
    own = style(60)
    other = replace(
        own, motion=replace(own.motion, coefficients=own.motion.coefficients.roll(30, 0))
    )
    assert not torch.allclose(
        predicted(predictor, speech(40), own), predicted(predictor, speech(40), other), atol=1e-3
    )


def test_clips_are_heard_apart(predictor):
    """What one clip says does not change how another one is read."""
    first, second, third = style(30, 1), style(30, 2), style(30, 3)
    pairs_with_second, _ = prediction.style_pairs(predictor, extend_style(first, second))
    pairs_with_third, _ = prediction.style_pairs(predictor, extend_style(first, third))
    assert torch.equal(pairs_with_second.values[:, :30], pairs_with_third.values[:, :30])


def test_unseen_steps_count_for_nothing(predictor):
    seen = style(40)
    valid = seen.motion.valid.clone()
    valid[25:] = False
    hidden = replace(seen, motion=replace(seen.motion, valid=valid))
    garbage = seen.motion.coefficients.clone()
    garbage[25:] = 50.0
    spoiled = replace(hidden, motion=replace(hidden.motion, coefficients=garbage))
    expected = predicted(predictor, speech(40), hidden)
    assert torch.allclose(predicted(predictor, speech(40), spoiled), expected, atol=1e-5)
    assert not torch.allclose(predicted(predictor, speech(40), seen), expected, atol=1e-3)


def test_padding_changes_nothing(predictor):
    """In a batch, a clip gives the same however far it is padded."""
    torch.manual_seed(0)
    short, long = 20, 33
    features = torch.randn(1, 3, long, SPEECH_WIDTH)
    motion = torch.randn(1, 3, long, BASIS.size)
    sees = ~torch.eye(3, dtype=torch.bool)[None]
    valid = (torch.arange(long) < short).expand(1, 3, long)
    padded, padded_base = predictor(features, motion, valid, sees, valid)
    cut = [x[:, :, :short].contiguous() for x in (features, motion, valid)]
    bare, bare_base = predictor(*cut, sees, cut[2])
    assert torch.allclose(padded[:, :, :short], bare, atol=1e-4)
    assert torch.allclose(padded_base[:, :, :short], bare_base, atol=1e-4)


def test_training_pass_and_prediction_agree(predictor):
    """What is trained is what is used: a target in a group, and the same by the front door."""
    clips = [style(30, seed) for seed in (1, 2, 3)]
    features = torch.stack([c.speech.features for c in clips])[None]
    motion = torch.stack([c.motion.coefficients for c in clips])[None]
    sees = torch.tensor([[[False, True, True], [False] * 3, [True, False, False]]])
    valid = torch.ones(1, 3, 30, dtype=torch.bool)
    grouped, _ = predictor(features, motion, valid, sees, valid)
    for target, reference in ((0, extend_style(*clips[1:])), (1, None), (2, clips[0])):
        alone = predicted(predictor, clips[target].speech, reference)
        assert torch.allclose(grouped[0, target], alone, atol=1e-4)


def test_progress_reaches_the_end_and_can_cancel(predictor):
    calls = []
    predict_lip_motion(
        predictor, speech(600), on_progress=lambda done, total: calls.append((done, total))
    )
    assert calls == [(256, 600), (512, 600), (600, 600)]

    class Cancelled(BaseException):
        pass

    def cancel(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        predict_lip_motion(predictor, speech(10), on_progress=cancel)


def test_strangers_are_refused(predictor):
    stranger = replace(speech(10), encoder="whisper-tiny:2+4")
    with pytest.raises(ValueError, match=r"whisper-tiny:2\+4"):
        predict_lip_motion(predictor, stranger)
    other_basis = replace(style(10), motion=replace(style(10).motion, basis="lip-pca:other"))
    with pytest.raises(ValueError, match="lip-pca:other"):
        predict_lip_motion(predictor, speech(10), other_basis)
