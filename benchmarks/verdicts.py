"""What is said of a claim: a difference with its interval over items and seeds, and whether it holds."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000

Shares = NDArray[np.float64]
"""(S, N): whether each of N items is right, or how far, for S seeds."""


def difference(more: Shares, less: Shares, paired: bool = False) -> tuple[float, float, float, bool]:
    """Compare two ways on the same items.

    Args:
        more: The one.
        less: The other.
        paired: Whether both have the same seeds, each of which says how both begin.

    Returns:
        Mean of the difference in points, its 95 % interval by a bootstrap over items (paired) and seeds, and whether
        every seed of the first has the sign of the mean.
    """
    rng, count = np.random.default_rng(0), more.shape[1]
    drawn = np.empty(RESAMPLES)
    for at in range(RESAMPLES):
        seeds = rng.integers(len(more), size=len(more))
        others = seeds if paired else rng.integers(len(less), size=len(less))
        drawn[at] = (more[seeds].mean(0) - less[others].mean(0))[rng.integers(count, size=count)].mean()
    each = more.mean(1) - (less.mean(1) if paired else less.mean())
    low, high = np.percentile(drawn, [2.5, 97.5])
    same = bool(np.all(np.sign(each) == np.sign(each.mean())))
    return float(100 * each.mean()), float(100 * low), float(100 * high), same


def say(claim: str, more: Shares, less: Shares, margin: float, losing: bool = False, paired: bool = False) -> bool:
    """Print a claim with its verdict.

    Args:
        claim: in words.
        more: the better way, as claimed.
        less: the other one.
        margin: points that it is better.
        losing: whether it is enough that the mean has the margin, as where it is to be no worse.
        paired: as of `difference`.
    """
    mean, low, high, same = difference(more, less, paired)
    holds = mean >= margin and (losing or (low > 0 and same))
    return told(claim, f"{mean:+6.1f} points [{low:+.1f}, {high:+.1f}]", holds)


def alike(claim: str, one: Shares, other: Shares, margin: float) -> bool:
    """Print a claim that two ways of the same seeds differ by at most a margin in points, with its verdict."""
    mean, low, high, _ = difference(one, other, paired=True)
    return told(claim, f"{mean:+6.1f} points [{low:+.1f}, {high:+.1f}]", abs(mean) <= margin)


def told(claim: str, figure: str, holds: bool) -> bool:
    """Print a claim with its figure and verdict, and return whether it holds."""
    print(f"  {claim:<66} {figure}  {'holds' if holds else 'not reproduced'}", flush=True)
    return holds


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Rank correlation; equal values share their mean rank. 0 where all values of one are equal."""

    def ranks(values: Sequence[float]) -> Shares:
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse])

    first, second = ranks(a), ranks(b)
    return float(np.corrcoef(first, second)[0, 1]) if np.ptp(first) and np.ptp(second) else 0.0
