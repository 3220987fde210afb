"""Timed speech becomes mouth movement: lips meet where they should, styles do what they say."""

from dataclasses import replace

import pytest
import torch
from tiny_head import tiny_kit, tiny_map

from lipsync_core.canonical_pose import canonicalise
from lipsync_core.errors import MediaError
from lipsync_core.landmarks import MOVING
from lipsync_core.synthesis.lip_contact import LipContact
from lipsync_core.synthesis.phones import (
    CONSONANTS,
    SILENCE,
    SYMBOLS,
    VOWELS,
    TimedPhone,
    TimedSpeech,
    find_timed_speech,
    read_timed_speech,
    write_timed_speech,
)
from lipsync_core.synthesis.speaking import (
    ANTICIPATION,
    expression_curves,
    loudness,
    speech_to_expressions,
)
from lipsync_core.synthesis.talking_clip import TalkingClip
from lipsync_core.synthesis.talking_head import TalkingHead
from lipsync_core.synthesis.talking_style import RANGES, TalkingStyle
from lipsync_core.synthesis.truth import true_motion
from lipsync_core.synthesis.visemes import BLENDED, CLASS_OF, GESTURES, VISEMES, gestures
from lipsync_core.types import Audio

NAMES = (
    "jawOpen", "mouthClose", "mouthPucker", "mouthFunnel", "mouthStretch_L", "mouthStretch_R",
    "mouthSmile_L", "mouthSmile_R", "mouthFrown_L", "mouthFrown_R", "mouthLowerDown_L",
    "mouthLowerDown_R", "mouthUpperUp_L", "mouthUpperUp_R", "mouthPress_L", "mouthPress_R",
)  # fmt: skip
SHAPE = {name: i for i, name in enumerate(NAMES)}
NEUTRAL = TalkingStyle.neutral()


def said(text: str, seconds: float = 0.12) -> tuple[TimedPhone, ...]:
    """Phones of equal length, separated by spaces."""
    return tuple(
        TimedPhone(symbol, i * seconds, (i + 1) * seconds) for i, symbol in enumerate(text.split())
    )


SENTENCE = said("sil b aa b iy w uw m ae p sil f ay v s sh ow z th ah n sil")


def lips() -> LipContact:
    """A head whose lips part with the jaw and the lip shapes, and close with mouthClose."""
    gap = torch.zeros(len(NAMES))
    gap[SHAPE["jawOpen"]], gap[SHAPE["mouthClose"]] = 0.45, -0.4
    gap[SHAPE["mouthLowerDown_L"]] = gap[SHAPE["mouthUpperUp_L"]] = 0.03
    gap[SHAPE["mouthPress_L"]] = -0.02
    return LipContact(NAMES, 0.005, gap)


def curves(style=NEUTRAL, phones=SENTENCE, seed=0):
    return expression_curves(
        phones, style, phones[-1].end, torch.Generator().manual_seed(seed), lips()
    )


def middle(phones, symbol) -> list[int]:
    """The steps at which lips are in the middle of every such phone."""
    return [
        round(25 * ((p.start + p.end) / 2 - ANTICIPATION)) for p in phones if p.symbol == symbol
    ]


def wave(seconds: float) -> Audio:
    return Audio(0.3 * torch.sin(torch.arange(round(16_000 * seconds)) * 0.05), 16_000)


def test_every_phone_has_a_viseme_and_a_class():
    assert VOWELS | CONSONANTS | {SILENCE} == SYMBOLS == VISEMES.keys() == CLASS_OF.keys()


def test_timed_speech_survives_its_files(tmp_path):
    speech = TimedSpeech(wave(SENTENCE[-1].end), SENTENCE, "Bob", "a voice")
    write_timed_speech(tmp_path / "a" / "one.wav", speech)
    assert find_timed_speech(tmp_path) == [tmp_path / "a" / "one.wav"]
    again = read_timed_speech(tmp_path / "a" / "one.wav")
    assert (again.phones, again.text, again.voice) == (SENTENCE, "Bob", "a voice")
    assert again.audio.sample_rate == 16_000
    assert torch.allclose(again.audio.waveform, speech.audio.waveform, atol=1e-4)


def test_files_that_are_no_timed_speech_are_refused(tmp_path):
    with pytest.raises(MediaError, match=r"no \.wav"):
        find_timed_speech(tmp_path)
    write_timed_speech(tmp_path / "one.wav", TimedSpeech(wave(3.0), SENTENCE))
    (tmp_path / "one.json").write_text('{"phones": [{"symbol": "qq", "start": 0, "end": 1}]}')
    with pytest.raises(MediaError, match="no phone times"):
        read_timed_speech(tmp_path / "one.wav")
    (tmp_path / "one.json").unlink()
    with pytest.raises(MediaError, match="no phone times"):
        read_timed_speech(tmp_path / "one.wav")


def test_phones_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="no phone"):
        TimedPhone("AA1", 0.0, 1.0)
    with pytest.raises(ValueError, match="runs from"):
        TimedPhone("aa", 1.0, 1.0)
    with pytest.raises(ValueError, match="begins before"):
        TimedSpeech(wave(2.0), (TimedPhone("aa", 0.0, 1.0), TimedPhone("b", 0.5, 1.5)))
    with pytest.raises(ValueError, match="phones end"):
        TimedSpeech(wave(1.0), (TimedPhone("aa", 0.0, 3.0),))


def test_lips_meet_for_p_b_and_m_and_part_for_vowels():
    gap = lips().gap(curves())
    for symbol in "pbm":
        for step in middle(SENTENCE, symbol):
            assert gap[step] < 0.012
    for symbol in ("aa", "ae", "ay"):
        for step in middle(SENTENCE, symbol):
            assert gap[step] > 0.06
    assert gap.min() > -0.01


def test_a_seal_of_one_frame_is_not_missed():
    """However a short b falls between the frames, one of them shows closed lips."""
    for shift in torch.linspace(0, 0.04, 9).tolist():
        phones = (
            TimedPhone("aa", 0.0, 0.4 + shift),
            TimedPhone("b", 0.4 + shift, 0.45 + shift),
            TimedPhone("aa", 0.45 + shift, 0.9),
        )
        assert lips().gap(curves(phones=phones)).min() < 0.02


def test_the_mouth_rests_in_silence():
    phones = said("sil sil sil sil sil sil aa b aa sil sil sil sil sil sil")
    gap = lips().gap(curves(phones=phones))
    assert gap[:12].max() < 0.03
    assert gap[-12:].max() < 0.03


def test_sounds_look_like_themselves():
    times = torch.arange(200) / 100
    made = {
        symbol: dict(
            zip(GESTURES, gestures(said(f"sil {symbol} sil", 0.3), times)[45].tolist(), strict=True)
        )
        for symbol in ("aa", "iy", "uw", "sh", "f", "b", "s")
    }
    assert made["aa"]["jaw"] > 2 * made["iy"]["jaw"]
    assert made["uw"]["round"] > 0.6 > 0.1 > made["iy"]["round"]
    assert made["iy"]["spread"] > 0.5 > 0.1 > made["uw"]["spread"]
    assert made["sh"]["funnel"] > 0.5 > 0.1 > made["s"]["funnel"]
    assert made["f"]["dental"] > 0.9 > 0.1 > made["s"]["dental"]
    assert made["b"]["seal"] > 0.9 > 0.1 > made["aa"]["seal"]


def test_lips_round_before_the_sound_and_more_so_with_wide_coarticulation():
    phones = said("sil t t uw t t sil", 0.15)
    times = torch.arange(110) / 100
    round_ = GESTURES.index("round")
    narrow, wide = (gestures(phones, times, width)[:, round_] for width in (0.6, 2.0))
    ahead, behind = 36, 69  # 90 ms from either edge of the vowel
    assert narrow[ahead] > narrow[behind]
    assert wide[20] > narrow[20] + 0.05
    assert wide[52] < narrow[52] - 0.05


def test_effort_opens_the_mouth_and_loudness_is_heard():
    phones = said("sil aa sil aa sil", 0.3)
    times = torch.arange(150) / 100
    made = gestures(phones, times, effort=torch.tensor([0.5, 1.5]))[:, GESTURES.index("jaw")]
    assert made[105] > 1.8 * made[45]
    samples = wave(1.5).waveform.clone()
    samples[: 16_000 * 6 // 10] *= 0.3
    heard = loudness(TimedSpeech(Audio(samples, 16_000), phones))
    assert heard[3] > heard[1] + 0.5
    with pytest.raises(ValueError, match="efforts"):
        gestures(phones, times, effort=torch.ones(7))


def spoken(style: TalkingStyle, *names: str) -> float:
    """The mean weight of some shapes over the sentence."""
    return float(curves(style)[:, [SHAPE[name] for name in names]].mean())


@pytest.mark.parametrize(
    ("name", "low", "high", "shapes"),
    [
        ("jaw_gain", 0.6, 1.4, ("jawOpen",)),
        ("rounding_gain", 0.4, 1.6, ("mouthPucker", "mouthFunnel")),
        ("spread_gain", 0.3, 1.8, ("mouthStretch_L", "mouthStretch_R")),
        ("lower_lip_gain", 0.4, 1.7, ("mouthLowerDown_L", "mouthLowerDown_R")),
        ("upper_lip_gain", 0.4, 2.0, ("mouthUpperUp_L", "mouthUpperUp_R")),
        ("smile", 0.0, 0.3, ("mouthSmile_L", "mouthSmile_R")),
        ("smile", 0.0, -0.2, ("mouthFrown_L", "mouthFrown_R")),
        ("rest_opening", 0.0, 0.1, ("jawOpen",)),
        ("protrusion", 0.0, 0.2, ("mouthPucker",)),
        ("press", 0.0, 0.8, ("mouthPress_L",)),
        ("asymmetry", -0.4, 0.4, ("mouthStretch_L",)),
        ("asymmetry", 0.4, -0.4, ("mouthStretch_R",)),
    ],
)
def test_a_style_parameter_does_what_it_says(name, low, high, shapes):
    values = [low, (low + high) / 2, high]
    weights = [spoken(replace(NEUTRAL, **{name: value}), *shapes) for value in values]
    assert weights[0] < weights[1] < weights[2]
    assert weights[2] > 1.15 * weights[0]


def test_incomplete_closures_leave_the_lips_apart():
    steps = [step for symbol in "pbm" for step in middle(SENTENCE, symbol)]
    gaps = [
        float(lips().gap(curves(replace(NEUTRAL, incompleteness=value)))[steps].mean())
        for value in (0.0, 0.2, 0.4)
    ]
    assert gaps[0] < gaps[1] < gaps[2]


def test_lag_moves_the_lips_later():
    jaw = SHAPE["jawOpen"]
    plain, late = curves()[:, jaw], curves(replace(NEUTRAL, lag=0.08))[:, jaw]
    assert torch.allclose(late[2:], plain[:-2], atol=0.03)
    assert not torch.allclose(late, plain, atol=0.03)


def test_class_gains_touch_their_class_alone():
    gains = dict(zip(NEUTRAL.gains(), NEUTRAL.class_gains, strict=True))
    rounder = replace(NEUTRAL, class_gains=tuple((gains | {"round": 1.5}).values()))
    plain, changed = curves(), curves(rounder)
    pucker, jaw = SHAPE["mouthPucker"], SHAPE["jawOpen"]
    (step,) = middle(SENTENCE, "uw")
    assert changed[step, pucker] > 1.3 * plain[step, pucker]
    (step,) = middle(SENTENCE, "th")
    assert torch.allclose(changed[step, jaw], plain[step, jaw], atol=0.01)


def test_drawn_styles_lie_in_their_ranges_and_come_again():
    for seed in range(20):
        style = TalkingStyle.draw(torch.Generator().manual_seed(seed))
        for name, (low, high) in RANGES.items():
            value = getattr(style, name)
            for number in value if isinstance(value, tuple) else (value,):
                assert low <= number <= high
        assert style == TalkingStyle.draw(torch.Generator().manual_seed(seed))
        assert style == TalkingStyle.from_dict(style.to_dict())
    none = TalkingStyle.draw(torch.Generator().manual_seed(3), strength=0.0)
    assert none == NEUTRAL
    with pytest.raises(ValueError, match="no \\['lisp'\\]"):
        TalkingStyle.from_dict({"lisp": 1.0})


def test_the_same_seed_moves_the_same_and_another_one_differs():
    assert torch.equal(curves(seed=1), curves(seed=1))
    assert not torch.equal(curves(seed=1), curves(seed=2))


def test_blended_gestures_stay_in_the_range_of_what_is_asked():
    made = gestures(SENTENCE, torch.arange(300) / 100)
    for i, name in enumerate(BLENDED):
        asked = [getattr(VISEMES[p.symbol], name) for p in SENTENCE]
        assert min(asked) - 1e-5 <= made[:, i].min()
        assert made[:, i].max() <= max(asked) + 1e-5


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return tiny_kit(tmp_path_factory.mktemp("kit"))


def test_contact_is_measured_on_the_head_itself(kit):
    landmark_map, identity = tiny_map(kit), torch.tensor([1.0, -1.0])
    contact = LipContact.of(kit, landmark_map, identity)
    weights = torch.cat([kit.expressions(jawOpen=0.3), kit.expressions(jawOpen=0.3)])
    closed = contact.closed(weights, torch.tensor([1.0, 0.0]))
    gap = contact.gap(closed)
    assert abs(float(gap[0])) < 0.01
    assert float(gap[1]) > 0.05
    points = landmark_map.of_expressions(kit, identity, closed)
    upper, lower = (
        points[:, [list(range(77))[i] for i in places], 1].mean(dim=1)
        for places in ([36, 35, 34], [24, 25, 26])
    )
    assert float((lower - upper)[0]) < 0.2 * float((lower - upper)[1])


def test_true_motion_is_free_of_the_heads_own_place_and_size(kit):
    landmark_map, none = tiny_map(kit), torch.zeros(2)
    weights = torch.rand(6, 6, generator=torch.Generator().manual_seed(0)) * 0.5
    points = landmark_map.of_expressions(kit, none, weights)
    rest = landmark_map.of_expressions(kit, none, kit.expressions())[0]
    neutral = canonicalise(rest[None]).landmarks[0]
    motion = true_motion(points, neutral)
    assert motion.shape == (6, len(MOVING), 3)
    assert torch.allclose(true_motion(3 * points + 5, neutral), motion, atol=1e-4)
    still = true_motion(rest[None].repeat(3, 1, 1), neutral)
    assert still.abs().max() < 0.01


def test_a_talking_clip_is_lazy_repeatable_and_as_long_as_its_sound(kit):
    landmark_map = tiny_map(kit)
    speech = TimedSpeech(wave(1.0), said("sil b aa b sil", 0.2))
    head = TalkingHead.draw(torch.Generator().manual_seed(0), kit)

    def clip(seed):
        return TalkingClip(kit, landmark_map, head, speech, NEUTRAL, seed, size=32)

    one = clip(1)
    assert (one.frame_count, one.fps, one.height) == (25, 25, 32)
    assert one.audio().duration == pytest.approx(1.0)
    assert torch.equal(one.frames(9, 11), clip(1).frames(9, 11))
    assert not torch.equal(one.frames(9, 10), clip(2).frames(9, 10))
    assert one.true_motion().shape == (25, len(MOVING), 3)
    with pytest.raises(ValueError, match="frames 3 to 99"):
        one.frames(3, 99)


def test_a_drawn_head_faces_the_camera_and_moves_slowly(kit):
    for seed in range(5):
        head = TalkingHead.draw(torch.Generator().manual_seed(seed), kit)
        pose = head.sway_over(250, torch.Generator().manual_seed(seed))
        assert pose[:, :3].abs().max() < 40
        assert (pose[1:] - pose[:-1]).abs().max() < 2
    assert speech_to_expressions(
        TimedSpeech(wave(1.0), ()), NEUTRAL, torch.Generator().manual_seed(0), lips()
    ).shape == (25, len(NAMES))
