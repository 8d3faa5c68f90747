"""A household's consumption and solar feed-in as a pure function of the time and a seed."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import accumulate

JST = timezone(timedelta(hours=9), "JST")
EPOCH = datetime(2020, 1, 1, tzinfo=JST)
"""The counters of every household are zero here."""

DAY = 86_400
SLOT = 1_800
SLOTS = 48
STEP = 80
"""W; every half hour's mean power is a multiple of it, so that all sums are whole numbers."""

JOULES_PER_KWH = 3_600_000

# Half-hours from midnight, in shares of a day's level: a low night, a breakfast, a busy evening.
LOAD = (2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 4, 3, 3, 2, 2, 2, 2, 2, 2, 3)
LOAD_AFTERNOON = (3, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 4, 5, 5, 6, 6, 6, 5, 5, 4, 4, 3, 3)
SUN = (0,) * 12 + (1, 1, 2, 3, 4, 5, 6, 7, 7, 8, 8, 9, 9, 8, 8, 7, 7, 6, 5, 4, 3, 2, 1, 1) + (0,) * 12

# Twentieths of the mean by which the minutes of a half hour differ from it. They add up to nothing.
MINUTES = (0, 1, 2, 3, 14, 12, 3, 0, -2, -4, -5, -4, -2, 0, 1, 2, 8, 6, 0, -3, -6, -8, -7, -5, -3, -2, -1, 0, 0, 0)
MINUTE_SUMS = tuple(accumulate(MINUTES, initial=0))

LEVELS = range(2, 6)
WEATHERS = range(6)


def mixed(*numbers: int) -> int:
    """Return 32 well-stirred bits that depend on all numbers."""
    state = 0x9E3779B9
    for number in numbers:
        state = (state ^ (number & 0xFFFFFFFF)) * 0x85EBCA6B & 0xFFFFFFFF
        state = (state ^ state >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
        state ^= state >> 16
    return state


@cache
def _means(level: int, weather: int) -> tuple[int, ...]:
    """Return the half-hours' mean net power in steps of 80 W; negative is fed in."""
    return tuple(load * level - sun * weather for load, sun in zip(LOAD + LOAD_AFTERNOON, SUN, strict=True))


@cache
def _day_energy(level: int, weather: int) -> tuple[int, int]:
    """Return what a day takes from the grid and feeds into it, in J."""
    means = _means(level, weather)
    taken = sum(mean for mean in means if mean > 0)
    return taken * STEP * SLOT, (taken - sum(means)) * STEP * SLOT


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy in J since the epoch."""

    taken: int
    fed: int

    def plus(self, net: int) -> Energy:
        """Return the energy after some more was taken or, below zero, fed in."""
        return Energy(self.taken + net, self.fed) if net > 0 else Energy(self.taken, self.fed - net)


@dataclass(slots=True)
class Household:
    """A load that follows the hours of the day, and a roof that may carry solar cells."""

    seed: int = 1
    solar: bool = False
    _midnights: list[Energy] = field(default_factory=lambda: [Energy(0, 0)])
    _days: dict[int, tuple[Energy, ...]] = field(default_factory=dict)

    def power(self, at: datetime) -> int:
        """Return the net power in W; negative is fed into the grid."""
        day, second = self._split(at)
        slot, rest = divmod(second, SLOT)
        mean = self._slot_mean(day, slot)
        return STEP * mean + STEP // 20 * mean * MINUTES[rest // 60]

    def energy(self, at: datetime) -> Energy:
        """Return the energy since the epoch, exact to the second."""
        day, second = self._split(at)
        if day < 0:
            return Energy(0, 0)
        slot, rest = divmod(second, SLOT)
        before = self._starts(day)[slot]
        mean = self._slot_mean(day, slot)
        minute, seconds = divmod(rest, 60)
        twentieths = 20 * rest + 60 * MINUTE_SUMS[minute] + seconds * MINUTES[minute]
        within = abs(mean) * STEP // 20 * twentieths
        return before.plus(within if mean > 0 else -within)

    def share(self, at: datetime) -> int:
        """Return which part of the load hangs on the R phase, in per cent."""
        day, second = self._split(at)
        return 45 + mixed(self.seed, day, second // SLOT, 3) % 25

    @staticmethod
    def _split(at: datetime) -> tuple[int, int]:
        since = at - EPOCH
        return since.days, since.seconds

    def _day(self, day: int) -> tuple[int, int]:
        """Return the day's level of consumption and its weather."""
        chance = mixed(self.seed, day)
        weather = WEATHERS[chance // 16 % len(WEATHERS)] if self.solar else 0
        return LEVELS[chance % len(LEVELS)], weather

    def _slot_mean(self, day: int, slot: int) -> int:
        """Return the mean of a half hour in steps of 80 W; it moves energy only between the halves of an hour."""
        means = _means(*self._day(day))
        first, second = means[slot & ~1], means[slot | 1]
        if first * second <= 0:
            return means[slot]
        moved = mixed(self.seed, day, slot // 2, 2) % min(abs(first), abs(second))
        return means[slot] - moved if slot % 2 else means[slot] + moved

    def _starts(self, day: int) -> tuple[Energy, ...]:
        """Return the counters at the start of each half hour of a day."""
        if day not in self._days:
            nets = [self._slot_mean(day, slot) * STEP * SLOT for slot in range(SLOTS - 1)]
            self._days[day] = tuple(accumulate(nets, Energy.plus, initial=self._midnight(day)))
        return self._days[day]

    def _midnight(self, day: int) -> Energy:
        while len(self._midnights) <= day:
            taken, fed = _day_energy(*self._day(len(self._midnights) - 1))
            last = self._midnights[-1]
            self._midnights.append(Energy(last.taken + taken, last.fed + fed))
        return self._midnights[day]


@cache
def household(seed: int, *, solar: bool) -> Household:
    """Return the one household of a seed: it never changes, so everybody may share what it has worked out."""
    return Household(seed, solar)
