"""Kernels: the row detectors' loops, compiled; each gives the same bits as the NumPy code that it stands for.

What a kernel does is said in the detector's own file, in NumPy, which is the obvious slow twin: the same
operations on each channel in the same order, blends instead of branches, no fast maths, and nothing
transcendental. Imported by `fast.py` alone, and only where numba is installed.

All arrays are (channels,) and change in place; `values` is the row and stays as it is.
"""

import numpy as np
from numpy.typing import NDArray

from detectors.base import HUGE
from detectors.compiling import compiled
from detectors.drift import BLOCKS, STRAY
from detectors.jump import BLIND_ROWS, PRECISION, TINY, TO_DEVIATION
from detectors.jump import BOUND as JUMP_BOUND
from detectors.pointkernels import look as look
from detectors.pointkernels import settle as settle
from detectors.pointkernels import shrink as shrink
from detectors.pointkernels import tally as tally
from detectors.rhythm import BOUND as RHYTHM_BOUND
from detectors.rhythm import OLD_VISITS, SHARED_ROWS
from detectors.stuck import MEMORY_ROWS, PATIENCE

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@compiled
def jump_score(
    values: Floats,
    floor: Floats,
    lessons: float,
    level: Floats,
    deviation: Floats,
    taught: Floats,
    unheard: Floats,
    before: Floats,
    error: Floats,
    spread: Floats,
    known: Bools,
    raw: Floats,
) -> None:
    """`Jump.score`; `before` is `strayed`."""
    for i in range(len(values)):
        value = values[i]
        heard = abs(value) < HUGE
        level[i] = value if (unheard[i] > BLIND_ROWS) & heard else level[i]
        error[i] = value - level[i] if heard else 0.0
        least = max(deviation[i] * TO_DEVIATION, floor[i])
        spread[i] = least + (abs(level[i]) * PRECISION + TINY)
        known[i] = taught[i] >= lessons
        strayed = error[i] / spread[i]
        both = max(max(min(strayed, before[i]), -max(strayed, before[i])), 0.0)
        before[i] = strayed if heard else before[i]
        raw[i] = both if known[i] & heard else raw[i]


@compiled
def jump_learn(
    values: Floats,
    calm: Bools,
    share: float,
    forgetting: float,
    level: Floats,
    deviation: Floats,
    taught: Floats,
    unheard: Floats,
    error: Floats,
    spread: Floats,
    known: Bools,
) -> None:
    """`Jump.learn`; share: of its bounded step that the level takes."""
    for i in range(len(values)):
        heard = abs(values[i]) < HUGE
        bound = JUMP_BOUND * spread[i] if known[i] else np.inf
        step = min(max(error[i], -bound), bound)
        level[i] += step * share
        pupil = calm[i] & heard
        rate = max(1.0 / (taught[i] + 1.0), forgetting) if pupil else 0.0
        deviation[i] += rate * (abs(step) - deviation[i])
        taught[i] += 1.0 if pupil else 0.0
        unheard[i] = 0.0 if heard else unheard[i] + 1.0


@compiled
def drift_score(
    values: Floats,
    floor: Floats,
    lessons: float,
    allowed: float,
    ceiling: float,
    level: Floats,
    variance: Floats,
    taught: Floats,
    blocks: Floats,
    pace: Floats,
    up: Floats,
    down: Floats,
    spread: Floats,
    placed: Bools,
    score: Floats,
) -> None:
    """`Drift.score`; allowed: its `forgiven`; score: what it returns."""
    for i in range(len(values)):
        heard = abs(values[i]) < HUGE
        placed[i] = taught[i] >= lessons
        known = placed[i] & (blocks[i] >= BLOCKS)
        spread[i] = max(np.sqrt(variance[i]), floor[i]) + (abs(level[i]) * 1e-7 + 1e-12)
        strayed = (values[i] - level[i] if known & heard else 0.0) / spread[i]
        strayed = min(max(strayed, -STRAY), STRAY)
        counted = 1.0 / pace[i] if heard else 0.0
        shift, forgiven = strayed * counted, allowed * counted
        up[i] = min(max((up[i] + shift) - forgiven, 0.0), ceiling)
        down[i] = min(max((down[i] - shift) - forgiven, 0.0), ceiling)
        score[i] = max(up[i], down[i]) if known else np.nan


@compiled
def drift_learn(
    values: Floats,
    calm: Bools,
    lessons: float,
    forgetting: float,
    level: Floats,
    variance: Floats,
    taught: Floats,
    spread: Floats,
    placed: Bools,
    block_sum: Floats,
    block_rows: Floats,
) -> None:
    """`Drift.learn`, but for the end of a block."""
    for i in range(len(values)):
        pupil = calm[i] & (abs(values[i]) < HUGE)
        rate = max(1.0 / (taught[i] + 1.0), forgetting) if pupil else 0.0
        taught[i] += 1.0 if pupil else 0.0
        bound = STRAY * spread[i] if placed[i] else np.inf
        error = min(max(values[i] - level[i] if pupil else 0.0, -bound), bound)
        counts = pupil & (taught[i] >= lessons)
        level[i] += rate * error
        variance[i] += rate * ((1.0 - rate) * error * error - variance[i])
        block_sum[i] += error if counts else 0.0
        block_rows[i] += 1.0 if counts else 0.0


@compiled
def stuck_score(
    values: Floats,
    alike: Floats,
    lessons: float,
    lessons_s: float,
    last: Floats,
    run: Floats,
    before: Floats,
    longest: Floats,
    taught_s: Floats,
    changes: Floats,
    raw: Floats,
    long: Ints,
) -> int:
    """`Stuck.score` before the cost of a run; how many need it, whose numbers are the first of `long`."""
    for i in range(len(values)):
        heard = abs(values[i]) < HUGE
        before[i] = run[i]
        again = run[i] + 1.0 if abs(values[i] - last[i]) <= alike[i] else 0.0
        run[i] = again if heard else run[i]
        known = (changes[i] >= lessons) & (taught_s[i] >= lessons_s)
        beyond = max(run[i] - PATIENCE * longest[i], 0.0)
        raw[i] = beyond if known & heard else raw[i]
    count = 0
    for i in range(len(values)):
        known = changes[i] >= lessons and taught_s[i] >= lessons_s
        if raw[i] > 0.0 and abs(values[i]) < HUGE and known:
            long[count] = i
            count += 1
    return count


@compiled
def stuck_learn(
    values: Floats,
    calm: Bools,
    resting: float,
    fading: float,
    period_s: float,
    rows_a_second: float,
    last: Floats,
    run: Floats,
    before: Floats,
    longest: Floats,
    repeats: Floats,
    taught_s: Floats,
    changes: Floats,
) -> None:
    """`Stuck.learn`; fading: of the longest run, in this row."""
    for i in range(len(values)):
        value, previous, ended, known_s = values[i], last[i], before[i], taught_s[i]
        heard = abs(value) < HUGE
        changed = (run[i] == 0.0) & heard
        pupil = calm[i] & (previous != resting) & heard
        longest[i] = max(longest[i] * fading, ended if changed & pupil else 0.0)
        rate = 1.0 / min(known_s * rows_a_second + 1.0, MEMORY_ROWS)
        rate = rate if pupil else 0.0
        repeats[i] += (rate if heard & (run[i] != 0.0) else 0.0) - rate * repeats[i]
        taught_s[i] = known_s + (period_s if heard else 0.0)
        changes[i] += 1.0 if changed else 0.0
        last[i] = value if heard else previous


@compiled
def silence_score(
    values: Floats,
    stale_s: Floats,
    begin_ns: int,
    end_ns: int,
    since_ns: Ints,
    known: Bools,
    habit_s: Floats,
    age_s: Floats,
    score: Floats,
) -> None:
    """`Silence.score`; begin, end: of the row; score: what it returns."""
    for i in range(len(values)):
        heard = abs(values[i]) < HUGE
        since = begin_ns if since_ns[i] == 0 else since_ns[i]
        age = (end_ns - since) * 1e-9
        spoken = known[i] | heard
        late = age / max(stale_s[i], habit_s[i])
        late = 0.0 if heard else late
        since_ns[i], age_s[i], known[i] = since, age, spoken
        score[i] = late if spoken else np.nan


@compiled
def silence_learn(
    values: Floats,
    stale_s: Floats,
    gap_s: float,
    fading: float,
    end_ns: int,
    since_ns: Ints,
    habit_s: Floats,
    age_s: Floats,
) -> None:
    """`Silence.learn`; gap: the age from which it is one; fading: of the habit, in this row."""
    for i in range(len(values)):
        heard = abs(values[i]) < HUGE
        age, since, habit = age_s[i], since_ns[i], habit_s[i] * fading
        earned = min(1.5 * age, 1.5 * max(stale_s[i], habit))
        habit_s[i] = max(habit, earned) if (age > gap_s) & heard else habit
        since_ns[i] = end_ns if heard else since


@compiled
def regime_learn(values: Floats, calm: Bools, total: Floats, rows: Floats, calm_rows: Floats) -> None:
    """`Regime.learn`, but for the end of a block."""
    for i in range(len(values)):
        value = values[i]
        heard = abs(value) < HUGE
        total[i] += value if heard else 0.0
        rows[i] += 1.0 if heard else 0.0
        calm_rows[i] += 1.0 if calm[i] & heard else 0.0


@compiled
def rhythm_score(
    values: Floats,
    floor: Floats,
    share: float,
    lessons: float,
    visits_a_row: float,
    level_before: Floats,
    level_after: Floats,
    taught_before: Floats,
    taught_after: Floats,
    deviation: Floats,
    taught: Floats,
    day_from: Floats,
    day_slope: Floats,
    usual: Floats,
    expected: Floats,
    spread: Floats,
    residual: Floats,
    raw: Floats,
) -> None:
    """`Rhythm.score`; share: of the way between the middles of two hours; lessons: rows an hour needs."""
    for i in range(len(values)):
        value, before, after = values[i], level_before[i], level_after[i]
        heard = abs(value) < HUGE
        level = (after - before) * share + before
        level = before if taught_after[i] == 0.0 else level
        level = after if taught_before[i] == 0.0 else level
        level += day_slope[i] * share + day_from[i]
        own = deviation[i] + SHARED_ROWS / (taught[i] + SHARED_ROWS) * (usual[i] - deviation[i])
        reach = max(own * TO_DEVIATION, floor[i]) + abs(level) * 1e-7 + 1e-12
        visits = max(taught[i] * visits_a_row, 1.0)
        wider = 1.0 / (visits * visits) if visits < OLD_VISITS else 0.0
        reach *= 1.0 + wider
        known = taught[i] >= lessons
        left = value - level if heard else np.nan
        size = abs(left) / reach
        expected[i], spread[i] = level, reach
        residual[i] = left if known else np.nan
        raw[i] = size if known & heard else raw[i]


@compiled
def rhythm_learn(
    values: Floats,
    calm: Bools,
    young_rows: float,
    memory_rows: float,
    slowest: float,
    level: Floats,
    deviation: Floats,
    taught: Floats,
    usual: Floats,
    expected: Floats,
    spread: Floats,
) -> None:
    """`Rhythm.learn`; young: an hour of fewer rows is not bounded; slowest: rate at which `usual` moves."""
    for i in range(len(values)):
        pupil = calm[i] & (abs(values[i]) < HUGE)
        known, common, before = taught[i], usual[i], expected[i]
        new = known == 0.0
        middle = before if new else level[i]
        differs = common if new else deviation[i]
        bound = np.inf if known < young_rows else RHYTHM_BOUND * spread[i]
        step = min(max(values[i] - before if pupil else 0.0, -bound), bound)
        rate = 1.0 / min(known + 1.0, memory_rows)
        rate = rate if pupil else 0.0
        size = abs(step)
        level[i] = middle + rate * step
        rate = 0.0 if new else rate
        deviation[i] = differs + rate * (size - differs)
        usual[i] = common + min(rate, slowest) * (size - common)
        taught[i] = known + (1.0 if pupil else 0.0)
