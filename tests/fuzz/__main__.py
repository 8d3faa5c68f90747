"""The command line of the fuzzer: scripts/fuzz."""

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Sequence
import secrets
import time
import tracemalloc

from hypothesis import HealthCheck, Phase, given, seed as seeded, settings, strategies as st

# Before Home Assistant puts the test harness's own folder of that name in front.
import custom_components  # noqa: F401
from tests.own_network import own_network
from tests.simulator.dongle import MODULES

from . import network, targets

EXAMPLES = {"serial input": 400, "frames": 400, "conversation": 20}
"""In a round."""

GROWTH = 3_000_000
"""Bytes that may be in use after all rounds but not after the first; caches fill up to some size."""


def fuzz(modules: Sequence[str], seed: int, executed: Counter[str], scale: float = 1) -> None:
    """Run a round of examples.

    Raises:
        Exception: whatever an example brought about; hypothesis prints the smallest one that does.

    """

    def run(kind: str, test: Callable[..., None], *arguments: st.SearchStrategy[object]) -> None:
        def counted(values: tuple[object, ...]) -> None:
            executed[kind] += 1
            test(*values)

        limits = settings(
            max_examples=max(1, int(EXAMPLES[kind] * scale)),
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        seeded(seed)(limits(given(st.tuples(*arguments))(counted)))()

    said = targets.messages | targets.j11_messages | st.binary(max_size=80)
    run("serial input", targets.serial_input, st.lists(said, max_size=12))
    run("frames", targets.frame, targets.frames)
    if dongles := [module for module in modules if module != network.LAN]:
        run("conversation", targets.conversation, st.sampled_from(dongles), targets.steps)
    if network.LAN in modules:
        run("conversation", network.conversation, network.steps)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run for a while, report, and return the exit code."""
    parser = ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="of real time (5)")
    parser.add_argument("--seed", type=int, help="brings the same examples again (chosen by chance)")
    modules = (*sorted(MODULES), network.LAN)
    parser.add_argument("--module", choices=modules, action="append", help="what is in the dongle; lan: none (all)")
    options = parser.parse_args(arguments)
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    chosen: Sequence[str] = options.module or modules
    if network.LAN in chosen:
        own_network()
    executed: Counter[str] = Counter()
    end = time.monotonic() + 60 * options.minutes
    tracemalloc.start()
    memory: list[int] = []
    while not memory or time.monotonic() < end:
        try:
            fuzz(chosen, seed, executed)
        except Exception:
            given_modules = "".join(f" --module {module}" for module in options.module or ())
            print(f"FAILED; again: scripts/fuzz --minutes 0 --seed {seed}{given_modules}", flush=True)
            raise
        memory.append(tracemalloc.get_traced_memory()[0])
        seed += 1
    tracemalloc.stop()
    for kind, count in executed.items():
        print(f"{count:8}  {kind}")
    growth = memory[-1] - memory[0]
    print(f"{growth:8}  bytes more in use than after the first of {len(memory)} rounds")
    return int(growth > GROWTH)


if __name__ == "__main__":
    raise SystemExit(main())
