"""Intervals against published values."""

import pytest

from lastmetre.metrics.domain.statistics import mean, rate, student_t


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17, table I, method 3 (Wilson).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # By symmetry.
        (20, 20, 0.8389, 1.0000),
        (28, 29, 0.8282, 0.9939),
    ],
)
def test_wilson(successes: int, n: int, low: float, high: float) -> None:
    found = rate(successes, n)
    assert found is not None
    assert found.n == n
    assert found.value == successes / n
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


def test_nothing_to_divide_by_is_no_data() -> None:
    assert rate(0, 0) is None
    assert mean(0, 0, 0, (1, 5)) is None


@pytest.mark.parametrize(
    ("freedom", "t"),
    [(1, 12.706), (2, 4.303), (10, 2.228), (30, 2.042), (31, 2.040), (40, 2.021), (60, 2.000),
     (120, 1.980), (100_000, 1.960)],
)  # fmt: skip
def test_student_as_in_the_tables(freedom: int, t: float) -> None:
    assert student_t(freedom) == pytest.approx(t, abs=6e-4)


def test_mean_by_hand() -> None:
    # 3, 4, 5: mean 4, standard deviation 1, t(2) = 4.303: 4 ± 4.303/√3 = 4 ± 2.4843, cut at 5.
    found = mean(3, 12, 50, (1, 5))
    assert found is not None
    assert (found.n, found.value, found.high) == (3, 4.0, 5.0)
    assert found.low == pytest.approx(1.5157, abs=1e-4)


def test_one_answer_has_no_interval() -> None:
    found = mean(1, 5, 25, (1, 5))
    assert found is not None
    assert (found.value, found.low, found.high) == (5.0, None, None)


def test_answers_that_agree_have_a_narrow_interval() -> None:
    found = mean(10, 50, 250, (1, 5))
    assert found is not None
    assert (found.low, found.value, found.high) == (5.0, 5.0, 5.0)
