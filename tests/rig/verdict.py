"""Verdict: trials, what they found, and what so many of them prove."""

from collections.abc import Iterable
from dataclasses import dataclass, field

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Trial:
    """One hurt and what the oracle said of it; `again` is the command line that repeats it."""

    kind: str
    seed: int
    troubles: tuple[str, ...]
    again: str = ""


@dataclass
class Tally:
    """Trials of one kind."""

    trials: int = 0
    failed: list[Trial] = field(default_factory=list)

    def bounds(self) -> tuple[float, float]:
        return clopper_pearson(len(self.failed), self.trials)


def tallied(trials: Iterable[Trial]) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    for trial in trials:
        tally = tallies.setdefault(trial.kind, Tally())
        tally.trials += 1
        if trial.troubles:
            tally.failed.append(trial)
    return tallies


def clopper_pearson(failed: int, trials: int) -> tuple[float, float]:
    """The exact 95 % bounds of the share that fails: Clopper and Pearson, Biometrika 26 (1934).

    With no failure the upper one is one-sided, about 3 / trials (rule of three).
    """
    from scipy.stats import beta

    if not failed:
        return 0.0, 1.0 - (1.0 - CONFIDENCE) ** (1.0 / trials)
    tail = (1.0 - CONFIDENCE) / 2
    low = float(beta.ppf(tail, failed, trials - failed + 1))
    high = 1.0 if failed == trials else float(beta.ppf(1.0 - tail, failed + 1, trials - failed))
    return low, high


def report(tallies: dict[str, Tally]) -> str:
    """A line a kind, then each failure with the command that repeats it."""
    lines = []
    for kind, tally in sorted(tallies.items()):
        low, high = tally.bounds()
        bound = f"at most {high:.2%}" if not tally.failed else f"{low:.2%} to {high:.2%}"
        lines.append(
            f"{kind:<24} {tally.trials:>6} trials  {len(tally.failed):>4} failed  {bound} fail (95 % bound)"
        )
    for tally in tallies.values():
        for trial in tally.failed:
            lines.append(f"\n{trial.kind}, seed {trial.seed}: {'; '.join(trial.troubles)}")
            lines.append(f"  again: {trial.again}")
    return "\n".join(lines)
