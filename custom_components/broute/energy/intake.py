"""What the meter tells, into the ledger: readings, counters that it announces, answers from its memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from ..aiobroute import JST, Day, Direction, Reading
from .demand import half_hour
from .details import Energy
from .ledger import ENERGY_IN, ENERGY_OUT, Ledger, Scale, Source, half_hours

POLLED_WITHIN: Final = timedelta(minutes=10)
"""How long before a half-hour a reading may be that stands for it."""

ANSWERED_AFTER: Final = timedelta(hours=2)
"""A half-hour that is younger and has no value yet may get one: the meter's clock may be late."""

KEYS: Final = {Direction.IN: ENERGY_IN, Direction.OUT: ENERGY_OUT}


@dataclass(frozen=True, slots=True)
class _Polled:
    """A reading and when it came."""

    at: datetime
    counts: Mapping[str, int]


@dataclass(slots=True)
class Intake:
    """Puts what the present meter tells into the ledger; energies are in kWh, `now` is when it was told."""

    ledger: Ledger
    _polled: _Polled | None = None

    def take_reading(self, reading: Reading, scale: Scale, now: datetime) -> None:
        """Keep what was read; the last reading before a half-hour stands for it, until the meter tells it itself."""
        shown = {ENERGY_IN: reading.energy_in, ENERGY_OUT: reading.energy_out}
        counts = {key: scale.count(energy) for key, energy in shown.items() if energy is not None}
        before, self._polled = self._polled, _Polled(now, counts)
        if not counts:
            return
        self.ledger.hear(now, counts, scale)
        start = half_hour(now)
        if before is not None and start - POLLED_WITHIN <= before.at < start:
            for key, count in before.counts.items():
                self.ledger.put(key, start, count, Source.POLL, scale, now=now)

    def take_announced(self, key: str, fixed: Energy | None, scale: Scale, now: datetime) -> None:
        """Keep the counter at the last half-hour; what it was before this meter was there is another one's."""
        if fixed is None or fixed.energy is None:
            return
        since = self.ledger.tenures[-1].since
        if since is None or fixed.time.timestamp() > since:
            self.ledger.put(key, fixed.time, scale.count(fixed.energy), Source.PUSH, scale, now=now)

    def take_day(self, answer: Day, scale: Scale, now: datetime, *, overrule: bool) -> None:
        """Keep a day of the meter's memory; it may overrule what the memory told before."""
        for direction, counters in answer.energies.items():
            for at in half_hours(answer.date):
                start = datetime.fromtimestamp(at, JST)
                self.take_remembered(KEYS[direction], start, counters.get(start), scale, now, overrule=overrule)

    def take_remembered(
        self, key: str, start: datetime, energy: Decimal | None, scale: Scale, now: datetime, *, overrule: bool
    ) -> None:
        """Keep what the meter's memory says of a half-hour, or that it has no value of it."""
        if energy is not None:
            count = scale.count(energy)
            self.ledger.put(key, start, count, Source.HISTORY, scale, now=now, overrule=overrule)
        elif start < now - ANSWERED_AFTER:
            self.ledger.put_none(key, start, scale)
