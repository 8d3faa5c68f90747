"""momonga 0.7.0: as Home Assistant's built-in integration calls it, and in its own best way."""

import time
from typing import TYPE_CHECKING, Any

import serial  # noqa: F401  # what it is compared with is loaded first

from . import PASSWORD, ROUTE_B_ID, Polls, descriptors, perform, ready, resident, threads, told

INTERPRETER = resident()
began = time.process_time()

from momonga import EchonetPropertyCode as Epc, Momonga, MomongaError  # noqa: E402  # after what it is compared with
from momonga.momonga_device import BP35C2Strategy, parse_sk_line  # noqa: E402
from momonga.momonga_echonet_data import ENERGY_PARSERS, PARSER_MAP, EchonetProperty  # noqa: E402
from momonga.momonga_response import SkParsedRxUdp  # noqa: E402

IMPORT = time.process_time() - began

if TYPE_CHECKING:
    from collections.abc import Callable

FOUR = (
    Epc.instantaneous_power,
    Epc.instantaneous_current,
    Epc.measured_cumulative_energy,
    Epc.measured_cumulative_energy_reversed,
)

TURN = 0.05
"""Seconds between two requests of opening where only what is used is measured, not how long it takes."""


def _meter(url: str, pace: float = 1.0, **options: Any) -> Momonga:
    meter = Momonga(ROUTE_B_ID, PASSWORD, url, **options)
    meter.internal_xmit_interval /= pace
    meter.recv_timeout /= pace
    return meter


def _describe(meter: Momonga) -> None:
    """Ask what the built-in integration asks for at its start, with its pauses."""
    meter.get_serial_number()
    time.sleep(meter.internal_xmit_interval)
    meter.get_manufacturer_code()
    time.sleep(meter.internal_xmit_interval)
    meter.get_standard_version()


def _read_as_built_in(meter: Momonga) -> None:
    meter.get_instantaneous_current()
    meter.get_instantaneous_power()
    meter.get_measured_cumulative_energy()


def _read_at_best(meter: Momonga) -> None:
    values = meter.request_to_get(set(FOUR))
    assert len(values) == len(FOUR)


def _way(best: bool) -> Callable[[Momonga], None]:  # noqa: FBT001  # it is the only argument
    return _read_at_best if best else _read_as_built_in


def first(url: str, pace: float = 1.0, *, best: bool) -> Any:
    """Return the seconds to the first reading."""
    began = time.monotonic()
    options = {} if best else {"reopen_delays": (10,), "scan_retries": 10, "join_retries": 10}
    meter = _meter(url, pace, **options)
    meter.open()
    if not best:
        _describe(meter)
    _way(best)(meter)
    seconds = time.monotonic() - began
    meter.close()
    return {"seconds": seconds}


def poll(url: str, warm_up: int, polls: int, blocks: int, *, best: bool) -> Any:
    """Read again and again."""
    open_before, threads_before = descriptors(), threads()
    meter = _meter(url)
    meter.internal_xmit_interval = TURN
    read = _way(best)
    with meter:
        for _ in range(warm_up):
            read(meter)
        ready()
        told()
        measured = Polls(polls)
        for _ in range(polls * blocks):
            read(meter)
            measured.end()
        return {
            "cpu": measured.cpu,
            "resident": measured.resident,
            "memory": resident() - INTERPRETER,
            "descriptors": descriptors() - open_before,
            "threads": threads() - threads_before,
        }


def load() -> Any:
    """Return the CPU time of the import."""
    return {"ms": IMPORT * 1000}


def decode(line: str, times: int) -> Any:
    """Return the microseconds from a received line to its four values, in the order of the library's own calls."""
    data = line.encode() + b"\r\n"
    strategy = BP35C2Strategy()
    meter = Momonga(ROUTE_B_ID, PASSWORD, "")
    wanted = [EchonetProperty(code) for code in FOUR]
    tid = int(line.rsplit(" ", 1)[1][4:8], 16)

    def once() -> None:
        text = data.decode(errors="replace").split("\r\n")[0]
        parsed = parse_sk_line(text, strategy)
        assert isinstance(parsed, SkParsedRxUdp)
        for answer in meter._extract_response_payload(parsed.data, tid, wanted):
            parse = PARSER_MAP[answer.epc]
            meter._parse_or_wrap(answer.epc, answer.edt, parse, *((0.1, 1) if parse in ENERGY_PARSERS else ()))

    for _ in range(times // 10):
        once()
    began = time.process_time()
    for _ in range(times):
        once()
    return {"us": (time.process_time() - began) / times * 1e6}


def history(url: str, days: int, pace: float) -> Any:
    """Read days of both directions; a poll would have to wait for its turn."""
    meter = _meter(url, pace)
    meter.internal_xmit_interval = TURN
    with meter:
        ready()
        told()
        began = time.monotonic()
        read = 0
        for day in range(days):
            for reverse in (False, True):
                read += len(meter.get_historical_cumulative_energy_1(day, reverse=reverse))
        return {"seconds": time.monotonic() - began, "counters": read, "late": []}


def lose(url: str, pace: float, *, event: bool) -> Any:
    """Return when the loss of the session was noticed, by a poll that begins right after it."""
    meter = _meter(url, pace)
    meter.internal_xmit_interval = TURN
    with meter:
        meter.get_instantaneous_power()
        ready()
        told()
        try:
            meter.get_instantaneous_power()
        except MomongaError:
            return {"at": time.monotonic(), "event": event}
        raise RuntimeError("the meter went on answering")


if __name__ == "__main__":
    perform({task.__name__: task for task in (first, poll, load, decode, history, lose)})
