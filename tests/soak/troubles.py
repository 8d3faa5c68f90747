"""What can go wrong: each trouble begins, lasts a while, and is over when it returns."""

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from homeassistant.const import RESTART_EXIT_CODE

from tests.home import until
from tests.simulator.echonet import Excess
from tests.simulator.faults import Fault
from tests.simulator.j11 import REQUEST, J11Module, frame
from tests.simulator.j11commands import Code
from tests.simulator.radio import Sending
from tests.simulator.skstack import SkModule
from tests.simulator.transport import SimTransport, SimulatedPort

from .installation import last
from .network import NetworkMeter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from random import Random

    from .installation import Installation
    from .truth import Truth

MACS: Final = ("001C640003D2A1B7", "001C640003D2FFFF")
"""Of the meters that take each other's place."""

CHANNELS: Final = (0x21, 0x27, 0x2F, 0x31, 0x39, 0x3B)

REFUSAL: Final = 9.0
"""Seconds; a meter that refuses for longer is tried again every quarter of an hour, and later every hour."""


VALUES: Final = (0xE7, 0xE8, 0xE0, 0xE3)
SCALING: Final = (0xE1, 0xD3, 0xD7, 0x9F)
REFUSED: Final = (VALUES, SCALING, (*VALUES, *SCALING), (0xE7,), (0xE0,), (0xE3, 0xE8), (0xE1,), (0xE2, 0xE4, 0xE5))
"""Properties that a meter refuses at the same time."""


@dataclass(slots=True)
class Site:
    """A house: its dongle and meter, and the Home Assistant that reads it."""

    sim: SimulatedPort | NetworkMeter
    home: Installation
    truth: Truth
    chance: Random
    begun: list[float] = field(default_factory=list)
    """When a person let the integration begin anew."""
    is_calm: bool = False
    """Whether the meter has been read since the last trouble was over."""

    async def start(self) -> None:
        """Start Home Assistant; from here on it is its own business."""
        self.begun.append(asyncio.get_running_loop().time())
        await self.home.start()

    async def last(self, least: float, most: float) -> None:
        """Let some seconds pass."""
        await last(self.chance, least, most)


type Trouble = Callable[[Site], Awaitable[None]]


class Rival:
    """Another program that has the port."""

    def data_received(self, data: bytes) -> None:
        """Read nothing of it."""

    def unplugged(self) -> None:
        """Do without."""


def dongle_of(site: Site) -> SimulatedPort:
    """Return the dongle, which only some troubles concern."""
    assert isinstance(site.sim, SimulatedPort)
    return site.sim


async def _line(site: Site, **settings: Any) -> None:
    """Let bytes suffer on their way from the module."""
    line, whole = dongle_of(site).line, dongle_of(site).line.settings
    line.settings = replace(whole, **settings)
    await site.last(20, 1800)
    line.settings = replace(line.settings, **{name: getattr(whole, name) for name in settings})


async def _description(site: Site, kind: Literal["cut", "late", "broken"]) -> None:
    """Let the description of the network suffer; it is needed, because the meter is on another channel."""
    dongle_of(site).line.settings = replace(dongle_of(site).line.settings, pan_description=kind)
    move(site)
    await site.last(60, 600)
    dongle_of(site).line.settings = replace(dongle_of(site).line.settings, pan_description="whole")


async def _answers(site: Site, fault: Fault) -> None:
    """Let answers suffer on their way through the air."""
    air = site.sim.air
    air.settings = replace(air.settings, faults=(fault,), fault_rate=site.chance.choice((0.2, 0.5, 1.0)))
    await site.last(20, 3600)
    air.settings = replace(air.settings, faults=())


async def _sendings(site: Site, sending: Sending) -> None:
    """Let the next datagrams go in another way."""
    dongle_of(site).air.sendings.extend([sending] * site.chance.randint(1, 6))
    await site.last(10, 300)
    dongle_of(site).air.sendings.clear()


async def _ended_by_meter(site: Site) -> None:
    dongle_of(site).air.end_session()


async def _expired(site: Site, *, is_renewed: bool) -> None:
    dongle_of(site).air.expire(is_renewed=is_renewed)


async def _dropped(site: Site) -> None:
    """Let the meter lose the session without a word, as by a power cut."""
    dongle_of(site).air.drop_session()


async def _refused(site: Site) -> None:
    """Let the meter refuse the next join, as it may right after a session."""
    air = dongle_of(site).air
    password = air.settings.password
    air.settings = replace(air.settings, password="")
    air.end_session()
    await asyncio.sleep(REFUSAL)
    air.settings = replace(air.settings, password=password)


async def _refused_for_hours(site: Site) -> None:
    """Let the meter refuse the credentials until a person, who was asked for them, begins the entry anew."""
    air = dongle_of(site).air
    password = air.settings.password
    air.settings = replace(air.settings, password="")
    air.end_session()
    await site.last(120, 3 * 3600)
    air.settings = replace(air.settings, password=password)
    await _reload(site)


async def _restricted(site: Site) -> None:
    dongle_of(site).air.restrict()
    await site.last(30, 3600)
    dongle_of(site).air.restrict(False)


async def _unreachable(site: Site) -> None:
    site.sim.air.is_reachable = False
    await site.last(5, 7200)
    site.sim.air.is_reachable = True


async def _silent(site: Site) -> None:
    """Let the meter acknowledge and say nothing."""
    site.sim.air.is_answering = False
    await site.last(5, 3600)
    site.sim.air.is_answering = True


async def _values_refused(site: Site) -> None:
    """Let the meter refuse some of a reading or all, or what scales it, as one that has just started or is busy."""
    device = site.sim.meter.device
    device.refuse(*site.chance.choice(REFUSED))
    await site.last(5, 600)
    device.refusals.clear()


async def _few_at_once(site: Site) -> None:
    """Let the meter answer fewer properties in one Get than it is asked for."""
    meter = site.sim.meter
    meter.limit(site.chance.randint(1, 6), site.chance.choice([*Excess]))
    await site.last(20, 1800)
    meter.limit(None)


async def _deaf(site: Site) -> None:
    """Let the meter answer nothing in its next session."""
    dongle_of(site).air.deaf_sessions = 1
    dongle_of(site).air.end_session()


def move(site: Site) -> None:
    """Put the meter on another channel; the session is gone."""
    air = dongle_of(site).air
    air.network = replace(air.network, channel=site.chance.choice(CHANNELS))
    air.drop_session()


async def _garbled(site: Site) -> None:
    """Let the keys of module and meter differ."""
    dongle_of(site).air.garble()


async def _once_more(site: Site) -> None:
    """Let the module want commands once more."""
    module = dongle_of(site).module
    module.habits = replace(module.habits, repetition_rate=site.chance.choice((0.05, 0.2, 1.0)))
    await site.last(5, 300)
    module.habits = replace(module.habits, repetition_rate=0.0)


async def _scan_unanswered(site: Site) -> None:
    """Let the answer to a scan get lost; one is needed, because the meter is on another channel."""
    module = dongle_of(site).module
    module.habits = replace(module.habits, loses_scan_answer=True)
    move(site)
    await site.last(60, 600)
    module.habits = replace(module.habits, loses_scan_answer=False)


async def _slow_refusal(site: Site) -> None:
    """Let the module try for minutes to join a meter that does not answer."""
    air = site.sim.air
    air.settings = replace(air.settings, unheard_time=311.0)
    air.is_reachable = False
    await site.last(5, 1800)
    air.is_reachable = True
    air.settings = replace(air.settings, unheard_time=38.0)
    # A module goes on with what it has begun, also if others can be heard by now.
    await asyncio.sleep(311.0)


async def _moved(site: Site) -> None:
    move(site)


async def _unplugged(site: Site, *, is_told: bool) -> None:
    """Pull the dongle out and put it in again; the platform may not see it, as in a container."""
    site.sim.unplug()
    if is_told:
        await site.home.look_for_sticks()
    await site.last(2, 1800)
    site.sim.plug()
    if is_told:
        await site.home.look_for_sticks()


async def _elsewhere(site: Site) -> None:
    """Put the dongle into another port."""
    site.sim.unplug()
    await site.home.look_for_sticks()
    await site.last(2, 600)
    dongle = dongle_of(site)
    SimTransport.ports.pop(dongle.url)
    dongle.url = dongle.url.removesuffix("+") if dongle.url.endswith("+") else f"{dongle.url}+"
    SimTransport.ports[dongle.url] = dongle
    site.sim.plug()
    await site.home.look_for_sticks()


async def _busy(site: Site) -> None:
    """Let another program be quicker when the dongle is there again."""
    site.sim.unplug()
    site.sim.plug()
    dongle_of(site).open(Rival())
    await site.last(5, 1800)
    dongle_of(site).close()


async def _mute(site: Site) -> None:
    """Let the module hang."""
    dongle_of(site).line.is_mute = True
    await site.last(5, 900)
    dongle_of(site).line.is_mute = False


async def _wrong_counter(site: Site, *, code: int) -> None:
    """Let one reading of a counter be wrong by some bits of a byte, by at least 655 kWh."""
    device = site.sim.meter.device
    # What it refuses at present cannot be wrong either.
    await until(lambda: device.read(code) is not None, 1)
    true = device.read(code)
    assert true is not None
    place, bits = site.chance.randrange(2), site.chance.randint(1, 0xFF)
    device.once[code] = true[:place] + bytes([true[place] ^ bits]) + true[place + 1 :]
    await until(lambda: code not in device.once, 1)


async def _exchanged(site: Site) -> None:
    """Let the utility bring another meter, and a person confirm it."""
    if site.truth.is_new:
        return  # Nobody brings a new meter for a new one, and statistics could not tell their counters apart.
    former = site.sim.meter
    if isinstance(site.sim, NetworkMeter):
        number = int(former.settings.serial[1:]) + 1
        site.sim.exchange_meter(replace(former.settings, serial=f"S{number:011}", installed=site.sim.clock()))
    else:
        (mac,) = set(MACS) - {dongle_of(site).air.network.mac}
        site.sim.exchange_meter(mac=mac)
    site.truth.exchanged(former)
    await until(lambda: site.home.exchange_issue is not None, 10)
    site.truth.confirmed()
    await site.home.confirm_exchange()


async def _reload(site: Site) -> None:
    home = site.home
    site.begun.append(asyncio.get_running_loop().time())
    assert await home.hass.config_entries.async_reload(home.entry.entry_id)


async def _restart(site: Site) -> None:
    """Restart Home Assistant, as after an update."""
    await site.home.stop(RESTART_EXIT_CODE)
    await site.last(2, 60)
    await site.start()


async def _used_meanwhile(site: Site) -> None:
    """Let another program use the module and its session while Home Assistant restarts, and leave a question open."""
    await site.home.stop(RESTART_EXIT_CODE)
    await site.last(2, 60)
    module, air = dongle_of(site).module, dongle_of(site).air
    if isinstance(module, SkModule):
        module.registers |= {"SFE": "1", "SA2": "0"}
    if air.is_joined:
        air.send(bytes.fromhex("1081000105FF010288016201E700"))
    await site.start()


async def _off(site: Site) -> None:
    """Switch Home Assistant off for a while."""
    await site.home.stop()
    await site.last(5, 7200)
    await site.start()


async def _half_a_command(site: Site) -> None:
    """Let Home Assistant start while the module waits for the rest of a command that was begun."""
    await site.home.stop()
    begun = [command for command in site.sim.record.commands if command.startswith("SKSENDTO")]
    if isinstance(dongle_of(site).module, J11Module):
        dongle_of(site).receive(frame(Code.SEND, bytes(100), unique=REQUEST)[: site.chance.randint(1, 100)])
    else:
        dongle_of(site).receive(f"{begun[-1]} ".encode() if begun else b"SKSENDTO")
    await site.last(1, 30)
    await site.start()


async def _other_address(site: Site) -> None:
    """Let the router give the meter of the network another address."""
    assert isinstance(site.sim, NetworkMeter)
    site.sim.move()


def _all_answers() -> Mapping[str, Trouble]:
    faults = [fault for fault in Fault if fault is not Fault.CONTRADICTED]
    return {f"answer {fault.name.lower()}": partial(_answers, fault=fault) for fault in faults}


def _all_sendings() -> Mapping[str, Trouble]:
    kinds = [sending for sending in Sending if sending not in {Sending.SENT, Sending.REFUSED}]
    return {f"sending {sending.name.lower()}": partial(_sendings, sending=sending) for sending in kinds}


TROUBLES: Final[Mapping[str, Trouble]] = {
    "noise on the line": partial(_line, noise=0.5),
    "unknown events": partial(_line, unknown_events=0.5),
    "lines cut in half": partial(_line, truncated=0.05),
    "bytes lost": partial(_line, lost_bytes=0.002),
    "bytes doubled": partial(_line, doubled_bytes=0.002),
    "bytes one by one": partial(_line, is_split=True),
    **{f"EPANDESC {kind}": partial(_description, kind=kind) for kind in ("cut", "late", "broken")},
    **_all_answers(),
    **_all_sendings(),
    "session ended by the meter": _ended_by_meter,
    "session expired and renewed": partial(_expired, is_renewed=True),
    "session expired for good": partial(_expired, is_renewed=False),
    "session dropped by the meter": _dropped,
    "join refused": _refused,
    "airtime used up": _restricted,
    "meter out of reach": _unreachable,
    "meter silent": _silent,
    "values refused": _values_refused,
    "few properties at once": _few_at_once,
    "next session deaf": _deaf,
    "keys differ": _garbled,
    "commands wanted once more": _once_more,
    "scan unanswered": _scan_unanswered,
    "join refused after minutes": _slow_refusal,
    "meter on another channel": _moved,
    "dongle unplugged": partial(_unplugged, is_told=True),
    "dongle unplugged unseen": partial(_unplugged, is_told=False),
    "dongle plugged in elsewhere": _elsewhere,
    "port taken by another program": _busy,
    "module mute": _mute,
    "wrong byte in energy_in": partial(_wrong_counter, code=0xE0),
    "wrong byte in energy_out": partial(_wrong_counter, code=0xE3),
}
"""What may happen at the same time as something else."""

LONE: Final[Mapping[str, Trouble]] = {
    "answer contradicted": partial(_answers, fault=Fault.CONTRADICTED),
    "meter exchanged": _exchanged,
    "entry reloaded": _reload,
    "Home Assistant restarted": _restart,
    "module used meanwhile": _used_meanwhile,
    "credentials refused for hours": _refused_for_hours,
    "Home Assistant off": _off,
    "half a command in the module": _half_a_command,
}
"""What happens on its own: if of two contradicting answers the true one is lost, nobody can tell."""

_EVERYWHERE: Final = (
    *_all_answers(),
    "meter out of reach",
    "meter silent",
    "values refused",
    "few properties at once",
    "wrong byte in energy_in",
    "wrong byte in energy_out",
)

NETWORK_TROUBLES: Final[Mapping[str, Trouble]] = {
    **{name: TROUBLES[name] for name in _EVERYWHERE},
    "meter at another address": _other_address,
}
"""The same of a meter in the home network."""

NETWORK_LONE: Final[Mapping[str, Trouble]] = {
    name: LONE[name]
    for name in (
        "answer contradicted",
        "meter exchanged",
        "entry reloaded",
        "Home Assistant restarted",
        "Home Assistant off",
    )
}
