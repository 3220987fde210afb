"""Motion measures: each tells its own fault from the others, and says nan where it cannot tell."""

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_motion import displacement, track_of
from torch import Tensor

from lipsync_core.evaluation.measured_face import MeasuredFace
from lipsync_core.evaluation.motion_energy import BANDS, energy_ratios, motion_energy
from lipsync_core.evaluation.motion_measures import (
    COMPARISON_MEASURES,
    LARGEST_LAG,
    MEASURES,
    OPENING_MEASURES,
    compare_motion,
    lip_vertex_error,
    opening_correlation,
    opening_lag,
    opening_ratios,
    opening_statistics,
    width_correlation,
)
from lipsync_core.evaluation.mouth_closing import (
    CLOSING_MEASURES,
    bilabial_closures,
    bilabial_openings,
    closing_threshold,
    lip_leak,
    mouth_aspect,
    silence_closing,
)
from lipsync_core.landmarks import LIPS, MOVING
from lipsync_core.types import MOTION_RATE

STEPS = 100
UPPER, LOWER = MOVING.index(13), MOVING.index(14)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These tensors are so small that sharing them out takes longer than the sums."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def curve(seed: int = 0, steps: int = STEPS, knot: int = 4) -> Tensor:
    """An opening that wanders as in speech, 0..1: knots 160 ms apart, drawn smooth."""
    generator = torch.Generator().manual_seed(seed)
    knots = torch.rand(1, 1, steps // knot + 4, generator=generator)
    fine = torch.nn.functional.interpolate(knots, scale_factor=knot, mode="linear")[0, 0]
    smooth = torch.nn.functional.avg_pool1d(fine[None], 3, stride=1, padding=1)[0]
    return smooth[knot : knot + steps]


def face(opening: Tensor, spread: Tensor | None = None) -> MeasuredFace:
    """A face whose lips open by `opening` and whose corners part by `spread`, eye distances."""
    spread = torch.zeros_like(opening) if spread is None else spread
    moved = displacement(opening, spread)
    made = MeasuredFace(track_of(moved), moved, torch.ones(len(moved), dtype=torch.bool))
    return replace(made, points=made.neutral + moved)


def talking(seed: int = 0, steps: int = STEPS) -> MeasuredFace:
    return face(0.15 * curve(seed, steps), 0.05 * curve(seed + 1000, steps))


def late(made: MeasuredFace, lag: int) -> MeasuredFace:
    """The same motion `lag` steps later; the ends are held."""
    steps = (torch.arange(len(made.valid)) - lag).clamp(0, len(made.valid) - 1)
    return replace(made, points=made.points[steps], valid=made.valid[steps])


def frozen(made: MeasuredFace) -> MeasuredFace:
    return replace(made, points=made.points.mean(dim=0).expand_as(made.points))


def opened(made: MeasuredFace, gain: float) -> MeasuredFace:
    """All motion scaled about the shut mouth."""
    rest = made.neutral
    return replace(made, points=rest + gain * (made.points - rest))


def flickering(made: MeasuredFace, size: float = 0.01) -> MeasuredFace:
    """All lips up and down every other step."""
    sign = torch.where(torch.arange(len(made.valid)) % 2 == 0, 1.0, -1.0)
    shake = torch.zeros_like(made.points)
    shake[:, :, 1] = size * sign[:, None]
    return replace(made, points=made.points + shake)


def mended(made: MeasuredFace, gap: slice, value: float) -> MeasuredFace:
    """Nonsense in `gap`, marked not valid."""
    points, valid = made.points.clone(), made.valid.clone()
    points[gap], valid[gap] = value, False
    return replace(made, points=points, valid=valid)


seeds = st.integers(0, 10_000)
quick = settings(max_examples=15, deadline=None)

SIZE = ("opening mean ratio", "opening spread ratio", "opening maximum ratio")
TIMING = ("opening r", "width r", "opening r at best lag")


def test_each_fault_is_told_by_its_own_measure_and_not_by_the_others():
    real = talking()
    same = compare_motion(real, real)
    assert same["lip vertex error"] == 0
    assert all(same[name] == pytest.approx(1) for name in (*SIZE, *TIMING))
    assert same["opening lag"] == pytest.approx(0, abs=1e-6)

    still = compare_motion(frozen(real), real)
    assert math.isnan(still["opening r"]) and math.isnan(still["opening lag"])
    assert still["motion energy ratio"] == pytest.approx(0, abs=1e-6)
    assert still["opening spread ratio"] == pytest.approx(0, abs=1e-4)
    assert still["opening mean ratio"] == pytest.approx(1, abs=0.01)

    wide = compare_motion(opened(real, 2.0), real)
    assert wide["opening r"] == pytest.approx(1, abs=1e-3)
    assert wide["opening lag"] == pytest.approx(0, abs=0.05)
    assert wide["opening spread ratio"] == pytest.approx(2, abs=0.05)
    assert wide["motion energy ratio"] == pytest.approx(4, rel=1e-3)
    bands = [wide[f"{band} ratio"] for band in BANDS]
    assert bands == pytest.approx([4, 4, 4], rel=1e-3)  # larger, not another kind of motion

    shaken = compare_motion(flickering(real), real)
    assert shaken["opening r"] == pytest.approx(1, abs=1e-3)
    assert shaken["opening spread ratio"] == pytest.approx(1, abs=1e-3)
    assert shaken["motion energy 0-3 Hz ratio"] == pytest.approx(1, abs=1e-3)
    assert shaken["motion energy 8-12.5 Hz ratio"] > 5

    behind = compare_motion(late(real, 3), real)
    assert behind["opening lag"] == pytest.approx(3, abs=0.3)
    assert behind["opening r at best lag"] > 0.99 > 0.8 > behind["opening r"]
    assert behind["opening spread ratio"] == pytest.approx(1, abs=0.1)
    assert behind["motion energy 8-12.5 Hz ratio"] == pytest.approx(1, abs=0.3)


def test_every_figure_is_in_the_table_and_the_other_way_round():
    made = talking()
    times = torch.tensor([1.0])
    figures = (
        compare_motion(made, made)
        | opening_statistics(made)
        | motion_energy(made)
        | bilabial_closures(made, times, 1.0)
        | {"lip leak": lip_leak(made)}
        | silence_closing(made, 2.0)
    )
    names = [measure.name for measure in MEASURES]
    assert set(names) == set(figures)
    assert len(set(names)) == len(names)
    assert set(opening_statistics(made)) == {measure.name for measure in OPENING_MEASURES}


@quick
@given(seeds, st.integers(-LARGEST_LAG, LARGEST_LAG))
def test_a_planted_shift_is_found(seed: int, lag: int):
    found = opening_lag(late(talking(seed), lag), talking(seed))
    assert found["opening lag"] == pytest.approx(lag, abs=0.5)
    assert found["opening lag, absolute"] == abs(found["opening lag"])
    assert found["opening r at best lag"] == pytest.approx(1, abs=1e-4)


def test_a_shift_of_half_a_step_is_found():
    times = torch.arange(2 * STEPS) / 2  # half steps
    wave = 0.1 + 0.05 * torch.sin(times * 0.5) + 0.03 * torch.sin(times * 0.23)
    real, ours = face(wave[1::2]), face(wave[0::2])
    assert opening_lag(ours, real)["opening lag"] == pytest.approx(0.5, abs=0.1)
    assert opening_lag(real, ours)["opening lag"] == pytest.approx(-0.5, abs=0.1)


@quick
@given(seeds, seeds)
def test_lag_turns_its_sign_with_the_roles_and_the_rest_is_symmetric(first: int, second: int):
    a, b = talking(first), talking(second)
    there, back = compare_motion(a, b), compare_motion(b, a)
    for name in ("lip vertex error", "lip vertex error, centred", "opening r", "width r"):
        assert there[name] == pytest.approx(back[name])
    assert there["opening lag"] == pytest.approx(-back["opening lag"])
    for name in (*SIZE, *(f"{band} ratio" for band in BANDS)):
        assert there[name] * back[name] == pytest.approx(1)


@quick
@given(seeds, st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
def test_a_rest_shape_elsewhere_counts_in_the_plain_error_alone(seed: int, x, y, z):
    real = talking(seed)
    ours = replace(real, points=real.points + torch.tensor([x, y, z]))
    size = math.sqrt(x * x + y * y + z * z)
    assert lip_vertex_error(ours, real) == pytest.approx(100 * size, abs=1e-3)
    assert lip_vertex_error(ours, real, centred=True) == pytest.approx(0, abs=1e-3)
    assert opening_correlation(ours, real) == pytest.approx(1, abs=1e-4)
    assert width_correlation(ours, real) == pytest.approx(1, abs=1e-4)
    assert motion_energy(ours) == pytest.approx(motion_energy(real), rel=1e-3, abs=1e-7)


def test_lip_vertex_error_of_a_known_error():
    real = talking()
    points = real.points.clone()
    points[:, 0, 0] += 0.04  # one of 40 lip points, 4 % of the eye distance
    points[:, len(LIPS) :] += 1.0  # the jaw is none of them
    assert lip_vertex_error(replace(real, points=points), real) == pytest.approx(0.1, abs=1e-4)


@quick
@given(seeds, st.integers(0, STEPS - 21), st.integers(1, 20))
def test_steps_not_valid_in_either_play_no_part(seed: int, start: int, length: int):
    gap = slice(start, start + length)
    ours, real = talking(seed), talking(seed + 1)
    once = compare_motion(mended(ours, gap, 7.0), real)
    for other in (
        compare_motion(mended(ours, gap, -3.0), real),
        compare_motion(mended(ours, gap, 0.0), mended(real, gap, 5.0)),
    ):
        for name in ("lip vertex error", "lip vertex error, centred", "opening r", *SIZE):
            assert other[name] == pytest.approx(once[name], rel=1e-6)
        for band in BANDS:
            assert other[f"{band} ratio"] == pytest.approx(once[f"{band} ratio"], nan_ok=True)


def test_a_longer_clip_is_compared_over_the_common_part():
    real = talking(steps=STEPS)
    longer = replace(
        real,
        points=torch.cat([real.points, torch.full((7, len(MOVING), 3), 9.0)]),
        valid=torch.cat([real.valid, torch.ones(7, dtype=torch.bool)]),
    )
    there, same = compare_motion(longer, real), compare_motion(real, real)
    assert there == pytest.approx(same)


@pytest.mark.parametrize("kept", [0, 9])
def test_too_few_common_steps_are_nan(kept: int):
    few = torch.arange(STEPS) < kept
    real = talking()
    ours = replace(real, valid=few)
    assert all(math.isnan(value) for value in compare_motion(ours, real).values())
    assert all(math.isnan(value) for value in opening_statistics(ours).values())
    assert all(math.isnan(value) for value in motion_energy(ours).values())
    assert math.isnan(lip_leak(ours)) and math.isnan(closing_threshold([ours]))
    ten = replace(real, valid=torch.arange(STEPS) < 10)
    assert opening_correlation(ten, real) == pytest.approx(1)


def test_opening_statistics_of_a_known_curve():
    wave = 0.02 + 0.001 * torch.arange(100)
    found = opening_statistics(face(wave))
    assert found["opening mean"] == pytest.approx(100 * float(wave.mean()), abs=1e-2)
    assert found["opening spread"] == pytest.approx(100 * float(wave.std(correction=0)), abs=1e-2)
    assert found["opening maximum"] == pytest.approx(100 * float(wave.quantile(0.95)), abs=1e-2)


def test_ratios_to_a_mouth_that_never_moves_are_nan():
    shut = face(torch.zeros(STEPS))
    assert math.isnan(opening_ratios(talking(), shut)["opening spread ratio"])
    assert math.isnan(energy_ratios(talking(), shut)["motion energy ratio"])


@pytest.mark.parametrize(
    ("hertz", "band"), list(zip((1.5625, 5.46875, 10.15625), BANDS, strict=True))
)
def test_energy_of_a_sine_is_its_square_and_lies_in_its_band(hertz: float, band: str):
    times = torch.arange(400, dtype=torch.float64) / MOTION_RATE
    made = talking(steps=400)
    size = 0.01
    points = made.points[:1].double().repeat(400, 1, 1)
    points[:, :, 1] += size * torch.sin(2 * math.pi * hertz * times)[:, None]
    found = motion_energy(replace(made, points=points))
    # A difference of neighbours has the gain 2 sin(pi f / rate); a sine's mean square is 1/2.
    exact = 0.5 * (size * MOTION_RATE * 2 * math.sin(math.pi * hertz / MOTION_RATE)) ** 2
    assert found["motion energy"] == pytest.approx(exact, rel=0.02)
    assert found[band] == pytest.approx(exact, rel=0.02)
    assert sum(found[name] for name in BANDS if name != band) < 0.01 * exact


def test_jitter_adds_what_the_docstring_says():
    made = face(torch.zeros(3000))
    generator = torch.Generator().manual_seed(0)
    noise = 0.001 * torch.randn(made.points.shape, generator=generator)
    found = motion_energy(replace(made, points=made.points + noise))
    assert found["motion energy"] == pytest.approx(3750 * 0.001**2, rel=0.02)
    assert found["motion energy 8-12.5 Hz"] / found["motion energy"] == pytest.approx(
        2 / 3, abs=0.05
    )
    assert sum(found[band] for band in BANDS) == pytest.approx(found["motion energy"], rel=0.02)


def test_bands_leave_out_windows_with_a_gap():
    made = talking(steps=90)
    hole = torch.ones(90, dtype=torch.bool)
    hole[[20, 45, 70]] = False  # no 33 valid steps on end
    found = motion_energy(replace(made, valid=hole))
    assert math.isfinite(found["motion energy"])
    assert all(math.isnan(found[band]) for band in BANDS)


def test_lips_that_shut_at_the_bilabials_are_told_from_lips_that_do_not():
    opening = torch.full((STEPS,), 0.1)
    times = torch.tensor([1.0, 2.0, 3.0])
    for time in times.tolist():
        opening[int(time * MOTION_RATE) - 1 : int(time * MOTION_RATE) + 1] = 0.002
    opening[:5] = 0.002
    real = face(opening)
    threshold = closing_threshold([real])
    assert 0.3 < threshold < 3
    assert bilabial_closures(real, times, threshold)["closure share"] == 1
    assert bilabial_openings(real, times).tolist() == pytest.approx([0.2] * 3, abs=0.01)
    assert bilabial_closures(real, times + 0.5, threshold)["closure share"] == 0
    half = torch.tensor([1.0, 2.5])
    assert bilabial_closures(real, half, threshold)["closure share"] == 0.5
    assert bilabial_closures(late(real, 3), times, threshold)["closure share"] == 0
    loose = replace(real, points=real.points.clone())
    loose.points[:, LOWER, 1] += 0.03
    assert bilabial_closures(loose, times, threshold)["closure share"] == 0


def test_bilabials_that_are_not_seen_are_left_out():
    made = talking()
    valid = made.valid.clone()
    valid[50] = False
    blind = replace(made, valid=valid)
    assert len(bilabial_openings(blind, torch.tensor([0.0, 2.0, 3.0, 3.9, 3.99, 60.0]))) == 2
    nothing = bilabial_closures(made, torch.zeros(0), 1.0)
    assert all(math.isnan(value) for value in nothing.values())
    unknown = bilabial_closures(made, torch.tensor([2.0]), math.nan)
    assert math.isnan(unknown["closure share"]) and math.isfinite(unknown["bilabial opening"])


@quick
@given(seeds, st.floats(0.2, 3.0))
def test_the_threshold_scales_with_the_person(seed: int, gain: float):
    made = talking(seed)
    assert closing_threshold([opened(made, gain)]) == pytest.approx(
        gain * closing_threshold([made]), rel=1e-3
    )
    assert closing_threshold([made, made]) == pytest.approx(closing_threshold([made]), rel=0.1)


def test_lip_leak_is_the_share_of_open_steps():
    width = float(face(torch.zeros(1)).width)
    opening = torch.zeros(STEPS)
    opening[30:50] = 0.26 * width
    opening[60:90] = 0.24 * width
    made = face(opening)
    assert lip_leak(made) == pytest.approx(0.2)
    assert lip_leak(made, (0.8, 1.6)) == pytest.approx(0.5)
    assert float(mouth_aspect(made)[40]) == pytest.approx(0.26, abs=1e-3)
    valid = made.valid.clone()
    valid[30:40] = False
    assert lip_leak(replace(made, valid=valid)) == pytest.approx(10 / 90)
    assert math.isnan(lip_leak(made, (5.0, 9.0)))


def test_closing_time_counts_to_the_last_open_step_of_the_silence():
    opening = torch.zeros(STEPS)
    opening[:58] = 0.2
    made = face(opening)
    assert silence_closing(made, 2.0) == {"closing time": 8, "stays closed": 1}
    assert silence_closing(made, 2.8) == {"closing time": 0, "stays closed": 1}
    opening[70] = 0.2
    again = face(opening)
    assert silence_closing(again, 2.0) == {"closing time": 21, "stays closed": 1}
    assert silence_closing(again, 2.0, 2.8) == {"closing time": 8, "stays closed": 1}
    never = silence_closing(face(torch.full((STEPS,), 0.2)), 2.0)
    assert never == {"closing time": 50, "stays closed": 0}
    assert all(math.isnan(value) for value in silence_closing(made, 3.8).values())


def test_all_measures_have_a_unit_a_direction_and_a_meaning():
    groups = (*COMPARISON_MEASURES, *CLOSING_MEASURES)
    assert set(groups) <= set(MEASURES)
    for measure in MEASURES:
        assert measure.meaning and measure.better.split()[0] in ("higher", "lower", "near")
