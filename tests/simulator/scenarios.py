"""Named situations that a client may find itself in."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from .echonet import Esv, Excess
from .faults import Fault
from .habits import Former, ModuleSettings
from .line import LineSettings
from .meter import MeterSettings, Refusal, Reverse
from .radio import PASSWORD, ROUTE_B_ID, Network, RadioSettings, Renewal, Sending

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PASSWORD", "PASSWORD_2", "ROUTE_B_ID", "ROUTE_B_ID_2", "SCENARIOS", "Scenario"]

ROUTE_B_ID_2 = "FEDCBA9876543210FEDCBA9876543210"
PASSWORD_2 = "BA9876543210"
"""Those of a second meter."""

STRANGER = Network(
    channel=0x2F, pan_id=0x1234, mac="001C640012345678", lqi=0xF0, pairing_id="FEDCBA98", answers_all=True
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A meter, the air around it and the line from the module."""

    summary: str
    meter: MeterSettings = field(default_factory=MeterSettings)
    radio: RadioSettings = field(default_factory=RadioSettings)
    line: LineSettings = field(default_factory=LineSettings)
    module: ModuleSettings = field(default_factory=ModuleSettings)
    others: tuple[Scenario, ...] = ()
    """Other meters on the air; of their scenarios only `meter` and `radio` count."""


def _faulty(summary: str, *faults: Fault, rate: float = 1.0) -> Scenario:
    return Scenario(summary=summary, radio=RadioSettings(faults=faults, fault_rate=rate))


NORMAL = Scenario(summary="a meter as most are: no solar cells, no coefficient, good radio")
SOLAR = Scenario(
    summary="a house with solar cells: power and currents below zero, a second counter, a coefficient of 1",
    meter=MeterSettings(solar=True, coefficient=1),
)
ONE_PHASE = Scenario(
    summary="one phase, two wires: no T current, counts hundredths",
    meter=MeterSettings(one_phase=True, unit=0x02, digits=7),
)
COEFFICIENT = Scenario(
    summary="a meter behind transformers: its counters stand for 20 times as much",
    meter=MeterSettings(coefficient=20, unit=0x02),
)
SECOND_GENERATION = Scenario(
    summary="Release R: Route B number, one-minute energy, history by the minute; no export data",
    meter=MeterSettings(release="R", unit=0x03, digits=8),
)
NO_EXPORT_DATA = Scenario(
    summary="the export properties exist, but have the no-data code", meter=MeterSettings(reverse=Reverse.NO_DATA)
)
SHORT_HISTORY = Scenario(summary="only 14 days of history, today included", meter=MeterSettings(history_days=14))
WRONG_CLOCK = Scenario(
    summary="the meter's clock is seven minutes ahead", meter=MeterSettings(clock_offset=timedelta(minutes=7))
)
LATE_MIDNIGHT = Scenario(
    summary="the days of the history roll over at ten past midnight",
    meter=MeterSettings(roll_over=timedelta(minutes=10)),
)
RIVAL = Scenario(
    summary="another controller sets the day of the history right after us, twice",
    meter=MeterSettings(rival_day=3, rival_turns=2),
)
MULTI_GET_REFUSED = Scenario(
    summary="a Get answers its first property and refuses all others", meter=MeterSettings(most_per_get=1)
)
MULTI_GET_IGNORED = Scenario(
    summary="a Get of several properties is not answered at all", meter=MeterSettings(answers_many=False)
)
NO_UNIT = Scenario(summary="the unit of the counters is refused", meter=MeterSettings(values={0xE1: ""}))
NO_DATA = Scenario(
    summary="all measurements have their no-data codes",
    meter=MeterSettings(values={0xE0: "FFFFFFFE", 0xE7: "7FFFFFFE", 0xE8: "7FFE7FFE"}),
)
IMPOSSIBLE_VALUES = Scenario(
    summary="the counter is above 99 999 999, power and currents overflow",
    meter=MeterSettings(values={0xE0: "05F5E100", 0xE7: "7FFFFFFF", 0xE8: "80007FFF"}),
)
LINE_ENDS = Scenario(
    summary="the values look like ends of lines (3338 W) and like other lines",
    meter=MeterSettings(values={0xE7: "00000D0A", 0xE8: "0D0A0D0A"}),
)

NO_METER = Scenario(summary="nobody is heard", radio=RadioSettings(is_reachable=False))
STRANGERS = Scenario(
    summary="a stranger's network is heard first, and the own one as well", radio=RadioSettings(neighbours=(STRANGER,))
)
WEAK_RADIO = Scenario(
    summary="heard from scan duration 7 on; first join unanswered, some datagrams and answers lost",
    radio=RadioSettings(
        network=Network(lqi=0x28),
        scan_duration=7,
        unheard_joins=1,
        sendings=(Sending.NOT_SENT, Sending.SENT, Sending.NOT_SENT),
        faults=(Fault.LOST,),
        fault_rate=0.2,
    ),
)
REFUSED_ONCE = Scenario(
    summary="the first join is refused, as after a session that ended badly", radio=RadioSettings(refused_joins=1)
)
FAILING_ASSOCIATION = Scenario(
    summary="a J11 module's first connection to the meter comes to nothing, as often",
    radio=RadioSettings(failing_associations=1),
)
REJOIN_PAUSE = Scenario(
    summary="a join within ten seconds of SKTERM is refused", radio=RadioSettings(rejoin_pause=10.0)
)
SILENT_METER = Scenario(
    summary="the meter joins and acknowledges, but never answers", radio=RadioSettings(is_answering=False)
)
SLOW_METER = Scenario(summary="answers take eight to twelve seconds", radio=RadioSettings(reply_time=(8.0, 12.0)))
STEADY_METER = Scenario(
    summary="a house with solar cells; every answer begins 0.6 seconds after the request was acknowledged",
    meter=MeterSettings(solar=True, coefficient=1),
    radio=RadioSettings(reply_time=(0.6, 0.6)),
)
SHORT_SESSIONS = Scenario(summary="sessions of 15 minutes, renewed in good time", radio=RadioSettings(lifetime=900))
SESSION_EXPIRES = Scenario(
    summary="sessions of 15 minutes that end before they are renewed",
    radio=RadioSettings(lifetime=900, renewal=Renewal.LATE),
)
SESSION_LOST = Scenario(
    summary="sessions of 15 minutes that cannot be renewed", radio=RadioSettings(lifetime=900, renewal=Renewal.FAILS)
)
REQUESTED_NOTICES = Scenario(
    summary="the half-hourly notifications want an answer", radio=RadioSettings(announces=Esv.INFC)
)
NO_NOTICES = Scenario(summary="no half-hourly notifications", radio=RadioSettings(announces=None))
AWKWARD_SENDING = Scenario(
    summary="every order of the answers to SKSENDTO, one after the other",
    radio=RadioSettings(
        sendings=(
            Sending.RESOLVED,
            Sending.RESOLVED_FIRST,
            Sending.ACCEPTED_FIRST,
            Sending.NOT_SENT,
            Sending.UNRESOLVED,
            Sending.SENT,
        )
    ),
)

SECOND_METER = Scenario(
    summary="another meter in the same house: other credentials, another channel, another load",
    meter=MeterSettings(seed=2, serial="S18087654321", unit=0x02),
    radio=RadioSettings(
        network=Network(channel=0x39, pan_id=0x1B2E, mac="001C640003E51B2E", lqi=0xC8, pairing_id=ROUTE_B_ID_2[-8:]),
        route_b_id=ROUTE_B_ID_2,
        password=PASSWORD_2,
        rejoin_pause=10.0,
        seed=2,
    ),
)
TWO_METERS = Scenario(
    summary="two meters within reach of one dongle; each refuses a join within ten seconds of SKTERM",
    meter=MeterSettings(solar=True),
    radio=RadioSettings(rejoin_pause=10.0),
    others=(SECOND_METER,),
)

LATE_ANSWERS = _faulty("every other answer comes when nobody waits any more", Fault.LATE, rate=0.5)
LOST_ANSWERS = _faulty("every other answer is lost", Fault.LOST, rate=0.5)
DUPLICATES = _faulty("each answer comes twice, or a second time with other values", Fault.DOUBLED, Fault.CONTRADICTED)
FOREIGN_FRAMES = _faulty(
    "before each answer comes one of another request, node or object, or a notification of the same TID",
    Fault.FOREIGN_TID,
    Fault.FOREIGN_SENDER,
    Fault.FOREIGN_OBJECT,
    Fault.NOTIFICATION,
)
UNENCRYPTED = _faulty("before each answer comes one that was not encrypted", Fault.UNENCRYPTED)
BROKEN_FRAMES = _faulty(
    "before each answer comes one that is cut off, too long or something else altogether",
    Fault.TRUNCATED,
    Fault.TRAILING,
    Fault.NOT_ECHONET,
)
WRONG_LENGTHS = _faulty("before each answer comes one whose values are too short", Fault.WRONG_LENGTH)
ODD_ANSWERS = _faulty("answers have a property too many, or in another order", Fault.UNKNOWN_PROPERTY, Fault.REORDERED)

NOISE = Scenario(
    summary="rubbish and unknown events between the lines", line=LineSettings(noise=0.5, unknown_events=0.3)
)
SPLIT_BYTES = Scenario(summary="each byte comes on its own", line=LineSettings(is_split=True))
LOST_BYTES = Scenario(summary="one byte in a thousand is lost", line=LineSettings(lost_bytes=0.001))
DOUBLED_BYTES = Scenario(summary="one byte in a thousand comes twice", line=LineSettings(doubled_bytes=0.001))
TRUNCATED_LINES = Scenario(summary="one line in twenty lacks its second half", line=LineSettings(truncated=0.05))
CUT_DESCRIPTION = Scenario(summary="EPANDESC comes in two halves", line=LineSettings(pan_description="cut"))
BROKEN_DESCRIPTION = Scenario(summary="EPANDESC never has a second half", line=LineSettings(pan_description="broken"))
LATE_DESCRIPTION = Scenario(summary="EPANDESC comes after EVENT 22", line=LineSettings(pan_description="late"))

LATE_REFUSAL = Scenario(
    summary="nobody answers a join, and the module says so only after 311 seconds",
    radio=RadioSettings(unheard_joins=1, unheard_time=311.0),
)
CHANNEL_BUSY = Scenario(
    summary="the channel is in use twice before each of the first datagrams goes out",
    radio=RadioSettings(sendings=(Sending.BUSY, Sending.BUSY, Sending.SENT) * 3),
)
NO_AIRTIME = Scenario(
    summary="the first datagram is refused, as the airtime is used up",
    radio=RadioSettings(sendings=(Sending.RESTRICTED,)),
)
QUEUED = Scenario(
    summary="the first datagrams wait in the module for a moment", radio=RadioSettings(sendings=(Sending.QUEUED,) * 4)
)
ONCE_MORE = Scenario(
    summary="one command in ten is not understood, or comes too early, and is wanted once more",
    module=ModuleSettings(repetition_rate=0.1),
)
SCAN_UNANSWERED = Scenario(
    summary="the scan's own answer gets lost, all else of it does not", module=ModuleSettings(loses_scan_answer=True)
)
GARBLED_SESSION = Scenario(
    summary="in the first session the module cannot decrypt what the meter says",
    radio=RadioSettings(garbled_sessions=1),
)
LEFT_JOINED = Scenario(
    summary="another program has joined the meter; echo is on, the signal strength is not printed",
    module=ModuleSettings(former=Former()),
)
LEFT_ELSEWHERE = Scenario(
    summary="another program has joined another meter with its credentials",
    module=ModuleSettings(former=Former(meter=1)),
    others=(SECOND_METER,),
)
REFUSES_VALUES = Scenario(
    summary="for 70 seconds everything that a reading needs is refused, as by a meter that has just started",
    meter=MeterSettings(solar=True, refusals=(Refusal(codes=(0xE7, 0xE8, 0xE0, 0xE3), time=timedelta(seconds=70)),)),
)
REFUSES_UNIT = Scenario(
    summary="the unit of the counters is refused for a minute",
    meter=MeterSettings(refusals=(Refusal(codes=(0xE1,), time=timedelta(minutes=1)),)),
)
REFUSES_COEFFICIENT = Scenario(
    summary="a meter behind transformers whose coefficient is refused once",
    meter=MeterSettings(coefficient=20, unit=0x02, refusals=(Refusal(codes=(0xD3,), answers=1),)),
)
REFUSES_HISTORY = Scenario(
    summary="the history is refused once, and the choice of a day once",
    meter=MeterSettings(solar=True, refusals=(Refusal(codes=(0xE2, 0xE5), answers=1),)),
)
NO_MAP = Scenario(
    summary="neither the property maps nor the coefficient can be read",
    meter=MeterSettings(values={0x9D: "", 0x9E: "", 0x9F: ""}),
)
SIX_PER_GET = Scenario(
    summary="a Get of more than six properties leaves the others out", meter=MeterSettings(most_per_get=6)
)
SHORT_ANSWERS = Scenario(
    summary="a house with solar cells; a Get for the history of both directions is not answered",
    meter=MeterSettings(solar=True, most_bytes=230, excess=Excess.IGNORED),
)
DEAF_SESSION = Scenario(
    summary="the first session is deaf to requests; a new one answers", radio=RadioSettings(deaf_sessions=1)
)

SCENARIOS: Mapping[str, Scenario] = {
    name: value for name, value in dict(globals()).items() if isinstance(value, Scenario)
}
"""All of them by name."""
