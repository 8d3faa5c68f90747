"""The command line of the soak: scripts/soak."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
import logging
from operator import itemgetter
import secrets
import sys

# Before Home Assistant puts the test harness's own folder of that name in front.
import custom_components  # noqa: F401
from tests.databases import RECORDERS, NoServerError
from tests.own_network import own_network
from tests.simulator.dongle import MODULES
from tests.simulator.meter import UNITS, MeterSettings

from .energy import EnergyResult, energy_soak
from .many import Order, databases, run, seeds_of
from .network import LAN
from .run import AIRTIME, CALM, LIMIT, Result, soak

LONGEST = 10
"""How many of the longest times between two readings are shown."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, report, and return the exit code."""
    parser = ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="of simulated time (24)")
    parser.add_argument("--seed", type=int, help="brings the same troubles again (chosen by chance)")
    parser.add_argument(
        "--module",
        choices=(*MODULES, LAN),
        default="bp35c2",
        help="what is in the dongle (bp35c2); lan: there is none",
    )
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"seconds that a recovery may take ({LIMIT:g})")
    parser.add_argument("--calm", type=float, default=CALM[1] / 3600, help="hours between two troubles at most (0.25)")
    parser.add_argument("--debug", action="store_true", help="log everything to stderr")
    parser.add_argument(
        "--energy", action="store_true", help="compare the bars of the Energy dashboard, with a recorder"
    )
    parser.add_argument(
        "--history-days", type=int, choices=(14, 30, 99), help="that the meter remembers, with --energy (by chance)"
    )
    parser.add_argument("--costs", action="store_true", help="compare what each hour cost, too, with --energy")
    parser.add_argument("--seeds", type=seeds_of, help="1-100 or 1,5,9-12: many, on all cores, with --energy")
    parser.add_argument("--recorder", choices=RECORDERS, default="sqlite", help="its database, with --energy (sqlite)")
    options = parser.parse_args(arguments)
    if options.debug:
        logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(name)s %(message)s")
    else:
        logging.lastResort = None  # What is unexpected is in the report.
    try:
        return _run(options)
    except NoServerError as error:
        parser.exit(2, f"{error}\n")


def _run(options: Namespace) -> int:
    if options.energy and options.seeds:
        order = Order(
            days=options.hours / 24,
            module=options.module,
            history_days=options.history_days,
            has_costs=options.costs,
            recorder=options.recorder,
        )
        return min(1, run(order, options.seeds, partial(print, flush=True)))
    seed = secrets.randbelow(100_000) if options.seed is None else options.seed
    command = f"scripts/soak --hours {options.hours:g} --seed {seed} --module {options.module}"
    print(command, flush=True)
    if options.limit != LIMIT:
        command += f" --limit {options.limit:g}"
    if options.module == LAN:
        own_network()
    if options.energy:
        command += " --energy" + (f" --history-days {options.history_days}" if options.history_days else "")
        command += " --costs" if options.costs else ""
        command += f" --recorder {options.recorder}" if options.recorder != "sqlite" else ""
        with databases(options.recorder) as make:
            energy = energy_soak(
                options.hours / 24,
                seed,
                module=options.module,
                history_days=options.history_days,
                has_costs=options.costs,
                tell=partial(print, flush=True),
                make=make(seed),
            )
        print(*_energy_report(energy), sep="\n")
        return _verdict(energy.failures, command)
    if options.calm != CALM[1] / 3600:
        command += f" --calm {options.calm:g}"
    result = soak(options.hours, seed, options.module, options.limit, 3600 * options.calm)
    print(*_report(result), sep="\n")
    return _verdict(result.failures, command)


def _verdict(failures: Sequence[str], command: str) -> int:
    if not failures:
        return 0
    print("", "FAILED", *failures, f"Again: {command}", sep="\n")
    return 1


def _energy_report(result: EnergyResult) -> list[str]:
    return [
        "",
        *(f"{count:6}  {name}" for name, count in sorted(result.outages.items())),
        "",
        f"days              {result.days:g}",
        f"meter             {_meter(result.meter)}",
        f"hours checked     {result.hours}, wrong {len(result.wrong)}",
        *([] if result.costs is None else [f"bars of costs     {result.costs}"]),
        f"energy lost       {result.lost} kWh",
        f"warnings          {result.warnings.total()}",
    ]


def _meter(meter: MeterSettings) -> str:
    return ", ".join(
        (
            f"remembers {meter.history_days} days",
            f"counts {UNITS[meter.unit]} kWh",
            "with export" if meter.solar else "no export",
            f"clock off by {meter.clock_offset / timedelta(minutes=1):g} min",
            f"days begin {meter.roll_over / timedelta(minutes=1):g} min late",
            f"another controller interferes {meter.rival_turns} times",
        )
    )


def _report(result: Result) -> list[str]:
    slowest = max(result.slowest, key=lambda name: result.slowest[name], default="-")
    leaks = ", ".join(f"{count} {kind}" for kind, count in result.leaks.items())
    read = result.readings
    gaps = sorted(read.gaps.items(), key=itemgetter(1), reverse=True)
    return [
        "",
        "faults  slowest recovery after their end",
        *(
            f"{count:6}  {result.slowest.get(name, 0):5.1f} s  {name}"
            for name, count in sorted(result.injected.items())
        ),
        "",
        "longest time between two readings",
        *(f"{gap:8.0f} s  {name}" for name, gap in gaps[:LONGEST]),
        "",
        f"readings          {read.due} due, {read.came} came, {read.late} of them late; {read.share:.2f} % came",
        f"faults injected   {result.injected.total()} of {len(result.injected)} kinds",
        f"recoveries        {result.recoveries}; the slowest {result.slowest.get(slowest, 0):.1f} s after: {slowest}",
        f"values compared   {result.comparisons}, wrong {len(result.wrong)}",
        f"energy lost       {result.energy_lost} kWh",
        f"airtime           {result.airtime:.1f} s in the worst hour, of {AIRTIME:g}",
        f"leaked            {leaks}",
        f"unexpected errors {result.unexpected.total()}",
    ]


if __name__ == "__main__":
    sys.exit(main())
