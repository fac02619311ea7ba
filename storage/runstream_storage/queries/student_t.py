"""The confidence interval of a mean, by Student's t."""

from __future__ import annotations

import math
from statistics import NormalDist

LEVEL = 0.95


def half_width(n: int, deviation: float) -> float | None:
    """Half the 95 % confidence interval of the mean of `n` numbers with the sample standard `deviation` (n - 1).

    t(0.975; n - 1) * deviation / sqrt(n): were the numbers drawn from one normal distribution, its mean would lie
    within this of theirs in 95 of 100 such groups. None for fewer than two numbers, or where there are infinities.
    """
    if n < 2 or not math.isfinite(deviation):
        return None
    return quantile(n - 1) * deviation / math.sqrt(n)


def quantile(degrees: int, level: float = LEVEL) -> float:
    """The t that |T| stays under with probability `level`; right to 5 digits (Hill, CACM algorithm 396)."""
    p, n = 1 - level, degrees
    if n == 1:
        return 1 / math.tan(p * math.pi / 2)
    if n == 2:
        return math.sqrt(2 / (p * (2 - p)) - 2)
    a = 1 / (n - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * n
    y = (d * p) ** (2 / n)
    if y > 0.05 + a:
        x = NormalDist().inv_cdf(p / 2)
        y = x**2
        if n < 5:
            c += 0.3 * (n - 4.5) * (x + 0.6)
        c += (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = math.expm1(a * y**2)
    else:
        y = ((1 / (((n + 6) / (n * y) - 0.089 * d - 0.822) * (n + 2) * 3) + 0.5 / (n + 4)) * y - 1) * (n + 1) / (
            n + 2
        ) + 1 / y
    return math.sqrt(n * y)
