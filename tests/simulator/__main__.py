"""A simulated dongle with a meter behind it, or a meter in the network, for other programs: see --help and --list."""

import argparse
import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
import signal
import sys

from . import scenarios
from .dongle import MODULES, Dongle, real_time
from .lan import LanNode, Place
from .serve import Control, Socket, Terminal


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulator",
        description=__doc__,
        epilog=f"The meter's Route B ID is {scenarios.ROUTE_B_ID}, its password {scenarios.PASSWORD}.",
    )
    front = parser.add_mutually_exclusive_group()
    front.add_argument("--pty", type=Path, metavar="LINK", help="offer a pseudo terminal under this name")
    front.add_argument("--listen", type=_address, metavar="HOST:PORT", help="offer a TCP port; 0 is any free one")
    front.add_argument(
        "--lan",
        type=_place,
        metavar="ADDRESS%INTERFACE",
        help="be a node of the network, without a dongle, at an address of this machine, such as 127.0.0.2%%lo",
    )
    parser.add_argument("--module", choices=sorted(MODULES), default="bp35c2", help="what is inside the dongle")
    parser.add_argument("--scenario", type=_scenario, default="NORMAL", help="the situation; see --list")
    parser.add_argument("--speed", type=float, default=1.0, help="divides the radio's delays, not the clock")
    parser.add_argument("--seed", type=int, help="another household, and other chances")
    parser.add_argument("--payload", choices=["hex", "binary"], default="hex", help="how received data is printed")
    parser.add_argument("--clock-offset", type=float, metavar="SECONDS", help="how far the meter's clock is ahead")
    parser.add_argument(
        "--time-shift", type=float, default=0.0, metavar="SECONDS", help="how far the household's day is ahead"
    )
    parser.add_argument("--control", type=_address, metavar="HOST:PORT", help="take orders, a JSON object a line")
    parser.add_argument("--list", action="store_true", help="show the scenarios")
    arguments = parser.parse_args()
    if not (arguments.list or arguments.pty or arguments.listen or arguments.lan):
        parser.error("one of --pty, --listen, --lan and --list is needed")
    return arguments


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _place(text: str) -> Place:
    address, _, interface = text.partition("%")
    return Place(address, interface)


def _scenario(name: str) -> scenarios.Scenario:
    try:
        return scenarios.SCENARIOS[name.upper()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"there is no scenario {name}; see --list") from None


def _chosen(arguments: argparse.Namespace) -> scenarios.Scenario:
    """Return the scenario with the changes that were asked for."""
    chosen: scenarios.Scenario = arguments.scenario
    if arguments.clock_offset is not None or arguments.time_shift:
        # The meter's clock shows the true time whatever the time of the household is.
        offset = timedelta(seconds=(arguments.clock_offset or 0) - arguments.time_shift)
        chosen = replace(chosen, meter=replace(chosen.meter, clock_offset=offset))
    if arguments.seed is None:
        return chosen
    seed: int = arguments.seed
    return replace(
        chosen,
        meter=replace(chosen.meter, seed=seed),
        radio=replace(chosen.radio, seed=seed),
        line=replace(chosen.line, seed=seed),
    )


async def _serve(arguments: argparse.Namespace) -> None:
    """Offer the dongle until a signal comes."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    shift = timedelta(seconds=arguments.time_shift)
    dongle: Dongle | LanNode
    if arguments.lan:
        dongle = LanNode(_chosen(arguments), arguments.lan, clock=lambda: real_time() + shift)
    else:
        dongle = Dongle(
            _chosen(arguments),
            module=arguments.module,
            speed=arguments.speed,
            clock=lambda: real_time() + shift,
            payload=arguments.payload,
        )
    servers = []
    if arguments.control:
        servers.append(await loop.create_server(lambda: Control(dongle), *arguments.control))
    terminal = None
    if isinstance(dongle, LanNode):
        dongle.on()
        ready = [f"echonet://{arguments.lan.address}"]
    elif arguments.pty:
        terminal = Terminal(dongle, arguments.pty)
        ready = [str(arguments.pty)]
    else:
        servers.insert(0, await loop.create_server(lambda: Socket(dongle), *arguments.listen))
        ready = [f"socket://{_name(servers[0])}"]
    if arguments.control:
        ready.append(f"control {_name(servers[-1])}")
    print("ready:", " ".join(ready), flush=True)
    await stop.wait()
    if terminal is not None:
        terminal.close()
    if isinstance(dongle, LanNode):
        dongle.off()
    for server in servers:
        server.close()


def _name(server: asyncio.Server) -> str:
    host, port = server.sockets[0].getsockname()[:2]
    return f"{host}:{port}"


def main() -> int:
    """Do what the command line says."""
    arguments = _arguments()
    if arguments.list:
        width = max(map(len, scenarios.SCENARIOS))
        for name, scenario in scenarios.SCENARIOS.items():
            print(f"{name:{width}}  {scenario.summary}")
        return 0
    asyncio.run(_serve(arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main())
