"""Time stamps onto a constant grid."""

from fractions import Fraction

import numpy as np
import pytest
from synthetic_media import RATES

from lipsync_core.media.timing import constant_grid


def stamps(rate: Fraction, count: int, time_base: Fraction) -> np.ndarray:
    return np.array([round(i / rate / time_base) for i in range(count)], np.int64)


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("time_base", [Fraction(1, 1000), Fraction(1, 90000)], ids=str)
def test_constant_rates_are_found_exactly_and_map_one_to_one(rate, time_base):
    count = int(600 * rate)
    grid = constant_grid(stamps(rate, count, time_base) + 777, time_base)
    assert grid.fps == rate
    assert (grid.shown == np.arange(count)).all()


def test_a_rate_that_the_header_states_is_kept_as_it_is():
    # 29.97 as 2997/100, which differs from 30000/1001 by less than stamps can show.
    grid = constant_grid(stamps(Fraction(2997, 100), 500, Fraction(1, 11988)), Fraction(1, 11988),
                         declared=(Fraction(2997, 100),))  # fmt: skip
    assert grid.fps == Fraction(2997, 100)


def test_a_header_that_is_wrong_is_not_believed():
    grid = constant_grid(stamps(Fraction(25), 100, Fraction(1, 1000)), Fraction(1, 1000),
                         declared=(Fraction(30), Fraction(1000)))  # fmt: skip
    assert grid.fps == 25


def test_two_pictures_whose_stamps_are_rounded_take_the_stated_rate():
    grid = constant_grid(np.array([0, 33]), Fraction(1, 1000), declared=(Fraction(30),))
    assert grid.fps == 30 and len(grid.shown) == 2


def test_one_picture_is_a_clip_of_one_frame():
    assert len(constant_grid(np.array([5]), Fraction(1, 1000)).shown) == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_variable_rate_shows_the_latest_picture_that_has_begun(seed):
    generator = np.random.default_rng(seed)
    gaps = generator.choice([33, 34, 33, 33, 50, 67], 300)
    ticks = np.concatenate([[0], np.cumsum(gaps)])
    grid = constant_grid(ticks, Fraction(1, 1000), last_duration=33)
    for i, shown in enumerate(grid.shown):
        now = float(i / grid.fps) * 1000
        assert ticks[shown] <= now + 0.5
        assert shown == len(ticks) - 1 or ticks[shown + 1] > now + 0.5 - 1e-6
    assert abs(len(grid.shown) / float(grid.fps) - (ticks[-1] + 33) / 1000) <= 0.5 / float(grid.fps)


def test_lost_frames_do_not_change_the_rate():
    ticks = np.delete(stamps(Fraction(30), 300, Fraction(1, 90000)), [40, 41, 200])
    grid = constant_grid(ticks, Fraction(1, 90000), last_duration=3000)
    assert grid.fps == 30 and len(grid.shown) == 300
    assert list(grid.shown[38:44]) == [38, 39, 39, 39, 40, 41]


def test_a_rate_without_a_rule_is_its_mean_and_can_be_written():
    generator = np.random.default_rng(0)
    ticks = np.cumsum(generator.integers(10, 150, 500))
    grid = constant_grid(ticks, Fraction(1, 1000), last_duration=80)
    assert float(grid.fps) == pytest.approx(1000 * 499 / (ticks[-1] - ticks[0]), rel=0.01)
    assert grid.fps.denominator <= 1001
