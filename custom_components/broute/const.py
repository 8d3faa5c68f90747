"""Names that several files share."""

from datetime import timedelta
from typing import Final

DOMAIN: Final = "broute"

CONF_ROUTE_B_ID: Final = "route_b_id"
CONF_PAN: Final = "pan"
CONF_PROFILE: Final = "profile"
CONF_IMPORT_HISTORY: Final = "import_history"

UPDATE_INTERVAL: Final = timedelta(seconds=60)
