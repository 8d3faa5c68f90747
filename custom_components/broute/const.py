"""Names that several files share."""

from datetime import timedelta
from typing import Final

DOMAIN: Final = "broute"
BUILT_IN: Final = "route_b_smart_meter"
"""Home Assistant's own integration for the same meters."""

CONF_ROUTE_B_ID: Final = "route_b_id"
CONF_PAN: Final = "pan"
CONF_NODE: Final = "node"
"""Where the meter is in the home network, and what it calls itself; such an entry has no credentials and no PAN."""
CONF_PROFILE: Final = "profile"
CONF_ENERGY: Final = "energy"
"""Whether the meter is still to be added to the Energy dashboard; gone as soon as it is there."""
CONF_PRICES: Final = "prices"
"""What the Energy dashboard had of money before it showed ours."""
CONF_REPLACED: Final = "replaced"
"""What the Energy dashboard showed before it showed ours in its place."""
CONF_PRICE_ENTITIES: Final = "price_entities"
"""Who tells prices, and their ids in the registry, which stay when they are renamed."""
CONF_EXCHANGED: Final = "exchanged"
"""Whether entities may be left of an old meter that the new one has not; gone as soon as that was looked at."""
CONF_MODULE: Final = "module"
"""Family of the module that answered last, which is asked for first."""

CONF_INTERVAL: Final = "interval"
"""Option: seconds between two readings."""
CONF_NOTIFICATIONS: Final = "notifications"
"""Option: whether what the meter tells unasked is used; on by default."""
CONF_IMPORT_HISTORY: Final = "import_history"
"""Option: whether the meter's history goes into the statistics; on by default."""

SHORTEST_INTERVAL: Final = 10
"""Seconds; a meter takes up to four to answer, and has its own network to serve."""
UPDATE_INTERVAL: Final = timedelta(seconds=60)
"""Between two readings, if nobody has chosen otherwise."""
CONF_COSTS = "costs"
"""Which costs the Energy dashboard is to show as soon as there are any."""
CONF_SPREAD_FIXED = "spread_fixed"
"""Whether the hours of a billing period bear the fixed charges, too."""

SUBENTRY_PLAN: Final = "plan"
"""An electricity plan is a subentry of the meter's entry."""
