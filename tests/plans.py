"""Plans typed in through the forms, as a person with a bill does."""

from typing import TYPE_CHECKING, Any, Final

from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER
from homeassistant.data_entry_flow import FlowResultType

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry, SubentryFlowResult
    from homeassistant.core import HomeAssistant

CONTRACT: Final[dict[str, Any]] = {
    "name": "従量電灯B",
    "valid_from": "2026-01-01",
    "energy": "steps",
    "basic": "ampere",
    "billing_day": 10,
    "reading_dates": "",
}
STEPS: Final = {"limits": "120, 300", "prices": "29.80, 36.40, 40.49"}
AMPERE: Final = {"ampere_price": "311.75", "amperes": "40", "is_halved": True}
ADJUSTMENTS: Final = {
    "fuel": "2026-11: -1.23",
    "levies": "2025: 3.98\n2026: 4.18",
    "support": "",
    "discount": "55",
    "total_rounding": "down",
    "levy_rounding": "down",
}
FEED_IN: Final = {"feed_in": "16", "is_feed_in_by_hours": False}

THREE_STEPS: Final[dict[str, Any]] = {
    "contract": CONTRACT,
    "steps": STEPS,
    "basic": AMPERE,
    "adjustments": ADJUSTMENTS,
    "feed_in": FEED_IN,
    "dashboard": {"in_dashboard": True},
}
ONE_PRICE: Final[dict[str, Any]] = {
    **THREE_STEPS,
    "contract": {**CONTRACT, "energy": "one", "basic": "none"},
    "price": {"price": "31"},
    "adjustments": {**ADJUSTMENTS, "fuel": "", "levies": "2012: 0", "discount": ""},
    "feed_in": {"is_feed_in_by_hours": False},
}


async def begin(
    hass: HomeAssistant, entry: ConfigEntry, changed: str | None = None, structure: str = "other"
) -> SubentryFlowResult:
    """Open the form for a new plan of some structure, or to change one."""
    context: Any = {"source": SOURCE_USER}
    if changed is not None:
        context = {"source": SOURCE_RECONFIGURE, "subentry_id": changed}
    flow = await hass.config_entries.subentries.async_init((entry.entry_id, "plan"), context=context)
    if flow["type"] is not FlowResultType.MENU:
        return flow
    return await hass.config_entries.subentries.async_configure(flow["flow_id"], {"next_step_id": structure})


async def submit(hass: HomeAssistant, flow: SubentryFlowResult, typed: dict[str, Any]) -> SubentryFlowResult:
    """Fill in a form; what is left empty is not sent."""
    sent = {key: value for key, value in typed.items() if value != ""}
    return await hass.config_entries.subentries.async_configure(flow["flow_id"], sent)


async def fill_in(
    hass: HomeAssistant,
    entry: ConfigEntry,
    forms: dict[str, Any],
    changed: str | None = None,
    structure: str = "other",
) -> SubentryFlowResult:
    """Fill in each form that is shown; a list is what is typed when the same form comes again."""
    flow = await begin(hass, entry, changed, structure)
    left = {step: list(typed) if isinstance(typed, list) else [typed] for step, typed in forms.items()}
    while flow["type"] is FlowResultType.FORM:
        assert not flow["errors"], flow
        flow = await submit(hass, flow, left[str(flow["step_id"])].pop(0))
    await hass.async_block_till_done()
    return flow
