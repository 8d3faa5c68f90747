"""What the doctor found, in words; those about troubles are the words of docs/troubleshooting.md."""

from collections.abc import Mapping

from ..doctor import Check

CHECKS: Mapping[Check, str] = {
    Check.PORT: "Port",
    Check.MODULE: "Module",
    Check.CREDENTIALS: "ID and password",
    Check.AIRTIME: "Transmission time",
    Check.SCAN: "Search",
    Check.JOIN: "Connection",
    Check.SESSION: "Answers",
    Check.PROPERTIES: "Properties",
    Check.CLOCK: "Clock",
    Check.HISTORY: "History",
    Check.NOTIFICATIONS: "Announcements",
}

WORKING: Mapping[str, str] = {
    "port_opened": "The port can be opened.",
    "module_answered": "A Wi-SUN module answers.",
    "form_right": "ID and password have the right form.",
    "airtime_left": "There is transmission time left.",
    "meter_heard": "The meter is heard.",
    "joined": "The meter accepted the connection.",
    "answers": "The meter answers.",
    "properties_told": "The meter gives every property that it names.",
    "clock_right": "The meter's clock is right.",
    "history_told": "The meter gives the half-hours of yesterday.",
    "announces": "The meter announces its counters at each half-hour.",
    "not_reached": "Not examined, because of the problem above.",
    "no_time": "Not examined: there was no time left.",
}
"""What needs nothing to be done, or nothing of its own."""

FORM = (
    "The Route B ID has 32 digits from 0 to 9 and A to F. The password has 12 letters and digits.",
    "Count, and compare with the letters: 0 and O, 1 and I, 2 and Z, 5 and S, 8 and B.",
)

TROUBLES: Mapping[str, tuple[str, str]] = {
    "port_missing": (
        "This port does not exist. Is the dongle plugged in?",
        "Plug it in, or choose another port. In a container or virtual machine the device must be passed through.",
    ),
    "port_busy": (
        "Another program or integration is using this port.",
        "Only one can have it. Stop the other: a Wi-SUN app (add-on), another integration for the meter, a terminal.",
    ),
    "port_error": (
        "The port cannot be opened.",
        "Is the address typed right? Is the machine behind it on? May Home Assistant use the device?",
    ),
    "port_address": (
        "This is not the address of a port.",
        (
            "It needs a host and a port number, such as socket://192.168.1.20:4000 or rfc2217://192.168.1.20:4001; "
            "esphome:// works only where Home Assistant has the ESPHome integration."
        ),
    ),
    "port_closed": (
        "The server closed the connection at once.",
        (
            "Usually another client has the port; only one can use it at a time, so stop the other one. Or the server "
            "cannot open the device behind it: is the dongle plugged in there?"
        ),
    ),
    "port_host": (
        "There is no host with this name on the network.",
        "Check the name, or type its IP address instead.",
    ),
    "port_not_telnet": (
        "This port does not respond as RFC 2217 requires.",
        "If it is a raw TCP port, type socket:// in place of rfc2217://; otherwise restart the server.",
    ),
    "port_permission": (
        "There is no permission to open this port.",
        "Add the user that Home Assistant runs as to the dialout group, and restart it.",
    ),
    "port_refused": (
        "Connection refused: the host is there, but no serial server is running on this port.",
        "Has it been started, and is the port number right?",
    ),
    "port_telnet": (
        "This port speaks telnet: type rfc2217:// in place of socket://.",
        "Change the beginning of the address.",
    ),
    "port_unreachable": (
        "The host of this address does not answer.",
        "Is it switched on and on the same network, and is the address right?",
    ),
    "no_module": (
        "No Wi-SUN module answered on this port.",
        "Choose another port, or unplug the dongle, wait a few seconds, and plug it in again.",
    ),
    "module_error": (
        "The Wi-SUN module stopped answering or refused a command.",
        "Unplug the dongle, plug it in again, try again.",
    ),
    "invalid_route_b_id": FORM,
    "invalid_password": FORM,
    "airtime": (
        "The Wi-SUN module has used up the transmission time that the law allows per hour.",
        "By law a radio may send for a limited part of each hour. Wait an hour.",
    ),
    "no_meter": (
        "No meter responded to this ID.",
        "Check the ID: 8 and B, 0 and D look alike. Move the dongle closer. Is the service switched on yet?",
    ),
    "beacon_damaged": (
        "Something answered the search, but its answer arrived damaged.",
        "Unplug the dongle, plug it in again, and try another cable; behind a serial server, restart the server.",
    ),
    "heard_late": (
        "The meter was heard only after listening for longer than usual.",
        "Move the dongle closer to the meter, away from metal and other USB sticks.",
    ),
    "weak_radio": (
        "The radio signal of the meter is weak.",
        "Move the dongle closer to the meter, away from metal; a USB extension cable helps most.",
    ),
    "join_refused": (
        "The meter was heard, but it refused to connect.",
        (
            "Check the ID and the password character by character: 0 and O, 1 and I, 2 and Z, 5 and S, 8 and B look "
            "alike. If both are right, move the dongle closer. If another device was connected, wait: it can take 24 "
            "hours until the meter accepts a new one. A meter that is already set up is tried by itself every 15 "
            "minutes, later every hour."
        ),
    ),
    "join_unanswered": (
        "The meter was heard, but did not answer the connection request.",
        "Usually the radio signal is weak: move the dongle closer. Check ID and password, too.",
    ),
    "joined_second": (
        "The meter refused the first connection request, and accepted the second.",
        "You need not do anything: a meter does so while it still counts the one before. It is tried twice by itself.",
    ),
    "meter_silent": (
        "The meter accepted the connection but did not answer any request.",
        "Wait a minute and try again; then move the dongle closer.",
    ),
    "session_lost": (
        "The connection to the meter was lost while it was being tested.",
        "Try again. Is another dongle connected with the same ID? A meter talks to one.",
    ),
    "radio_unanswered": (
        "The radio of the meter does not acknowledge what the dongle sends.",
        "Move the dongle closer to the meter, away from metal and other USB sticks, and try again.",
    ),
    "session_second": (
        "The meter answered only after a second connection was made.",
        "You need not do anything: that is done by itself. If it is so each time, move the dongle closer.",
    ),
    "answers_late": (
        "Some requests or answers are lost, or come late.",
        "Readings will be missing now and then. Move the dongle closer to the meter, away from metal.",
    ),
    "meter_refuses": (
        "The meter accepted the connection but refuses to give any values at present.",
        "Try again in a minute.",
    ),
    "unit_untold": (
        "The meter does not report the unit of its counters at present, so there is no energy.",
        "Power and currents work. The unit is asked for with every reading; wait an hour.",
    ),
    "properties_refused": (
        "The meter refuses to give some of the properties that it names.",
        "Try again in a minute: a meter that is busy does so, and they are asked for again by themselves.",
    ),
    "values_missing": (
        "The meter has no value of its power or its counter at present.",
        "Try again in an hour. If it stays so, ask the utility.",
    ),
    "map_untold": (
        "The meter does not report which properties it has.",
        "You need not do anything: each is asked for by itself, which takes longer after a start.",
    ),
    "clock": (
        "The clock of the meter is more than five minutes off.",
        "Check the clock of this machine first. Only the utility can set that of the meter: tell them.",
    ),
    "clock_untold": (
        "The meter does not tell the time at present.",
        "Try again in a minute.",
    ),
    "history_none": (
        "The meter has no history of yesterday.",
        "You need not do anything if it was installed today. Otherwise only readings can be shown.",
    ),
    "history_empty": (
        "The meter has no values of yesterday.",
        "You need not do anything if it was installed today, or had no power.",
    ),
    "history_refused": (
        "The meter refuses to give its history at present.",
        "You need not do anything: it is asked for again by itself until it is there.",
    ),
    "history_silent": (
        "The meter does not answer when it is asked for its history.",
        "These answers are long, and a weak radio loses them first: move the dongle closer.",
    ),
    "history_disturbed": (
        "Another controller is reading the history of the meter at the same time.",
        "Which other device has this ID? A meter talks to one dongle.",
    ),
    "announces_nothing": (
        "The meter does not name its counters among what it announces.",
        "You need not do anything: readings have them, too.",
    ),
    "unexpected": ("An unexpected error occurred.", "Please report it with the log."),
}
"""What is wrong, and what to do."""
