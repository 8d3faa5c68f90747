"""Repairs that can find the cause: every step of a connection is tried out, and the findings are shown."""

import asyncio
from typing import TYPE_CHECKING, ClassVar, Final, override

from homeassistant.components.repairs import FlowType, RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import SOURCE_REAUTH, SOURCE_RECONFIGURE
from homeassistant.const import CONF_DEVICE, CONF_PASSWORD
from homeassistant.core import callback
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers import issue_registry as ir
import probatio

from .aiobroute import Credentials
from .aiobroute.doctor import LIMIT, Check, Finding, Verdict, examine
from .const import CONF_MODULE, CONF_ROUTE_B_ID, DOMAIN
from .dongle.sharing import async_lease
from .progress_end import ProgressEnd
from .words import async_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MARKS: Final = {Verdict.GOOD: "✔", Verdict.NOTICE: "⚠", Verdict.BAD: "✘", Verdict.SKIPPED: "·"}
"""Signs that begin no list in Markdown."""


class CauseFlow(RepairsFlow):
    """Says what is wrong, finds the cause if a person wants that, and says what is wrong again."""

    options: ClassVar = ["examine", "ignore"]

    def __init__(self) -> None:
        self._task: asyncio.Task[list[Finding]] | None = None
        self._check = Check.PORT
        self._findings: list[Finding] = []
        self._named: Mapping[str, str] = {}
        self._end = ProgressEnd(self)

    async def async_step_init(self, _: dict[str, str] | None = None) -> RepairsFlowResult:
        """Begin; the issue may go away while this is open."""
        issue = ir.async_get(self.hass).async_get_issue(self.handler, self.issue_id)
        self._named = (issue and issue.translation_placeholders) or {}
        return await self.async_step_trouble()

    async def async_step_trouble(self, _: dict[str, str] | None = None) -> RepairsFlowResult:
        """Show what is wrong, and what can be done from here."""
        return self.async_show_menu(
            step_id="trouble", menu_options=self.options, description_placeholders={**self._named}
        )

    async def async_step_ignore(self, _: dict[str, str] | None = None) -> RepairsFlowResult:
        """Show the issue no more."""
        if ir.async_get(self.hass).async_get_issue(self.handler, self.issue_id) is not None:
            ir.async_ignore_issue(self.hass, self.handler, self.issue_id, ignore=True)
        return self.async_abort(reason="ignored")

    async def async_step_examine(self, _: dict[str, str] | None = None) -> RepairsFlowResult:
        """Show how far the examination is; called again whenever something has changed."""
        if self._task is None:
            examination = self._async_examine_and_show()
            self._task = self.hass.async_create_background_task(examination, "broute doctor", eager_start=False)
        if not self._task.done():
            self._end.asked()
            words = await async_words(self.hass)
            return self.async_show_progress(
                step_id="examine",
                progress_action="examine",
                description_placeholders={**self._named, "check": words[f"check_{self._check.value}"]},
                progress_task=self._task,
            )
        self._findings, self._task = self._task.result(), None
        self._end.begin()
        return self.async_show_progress_done(next_step_id="findings")

    async def async_step_findings(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Show what was found; then go on as before."""
        self._end.taken()
        if user_input is not None:
            return await self.async_step_trouble()
        text = _text(self._findings, await async_words(self.hass))
        return self.async_show_form(
            step_id="findings",
            data_schema=probatio.Schema({}),
            description_placeholders={**self._named, "findings": text},
        )

    @callback
    @override
    def async_notify_flow_changed(self) -> None:
        if not self._end.is_quiet:
            super().async_notify_flow_changed()

    @callback
    @override
    def async_remove(self) -> None:
        """Leave nothing behind of a window that was closed."""
        self._end.taken()

    async def _async_examine_and_show(self) -> list[Finding]:
        """Examine, and let the progress be seen."""
        findings = await self._async_examine()
        await self._end.wait()
        return findings

    async def _async_examine(self) -> list[Finding]:
        """Examine the connection of the issue's meter; the readings wait until the dongle is free again."""
        data = self.hass.config_entries.async_get_known_entry(str((self.data or {})["entry_id"])).data
        begun = self.hass.loop.time()
        try:
            async with async_lease(self.hass, data[CONF_DEVICE]):
                waited = self.hass.loop.time() - begun
                return await examine(
                    data[CONF_DEVICE],
                    Credentials(data[CONF_ROUTE_B_ID], data[CONF_PASSWORD]),
                    family=data.get(CONF_MODULE),
                    limit=LIMIT - waited,
                    on_check=self._checking,
                )
        except ConfigEntryNotReady as err:  # A serial proxy whose own integration is not there.
            return [Finding(check=Check.PORT, verdict=Verdict.BAD, key="port_error", facts={"error": str(err)})]

    @callback
    def _checking(self, check: Check) -> None:
        self._check = check
        self._end.tell()
        self.async_update_progress(list(Check).index(check) / len(Check))


class JoinRefusedFlow(CauseFlow):
    """Opens the form in which the credentials can be corrected."""

    options: ClassVar = ["form", "examine"]

    async def async_step_form(self, _: dict[str, str] | None = None) -> RepairsFlowResult:
        """Open the form that is waiting for them, or another."""
        entry_id = str((self.data or {})["entry_id"])
        asking = [
            flow["flow_id"]
            for flow in self.hass.config_entries.flow.async_progress_by_handler(DOMAIN)
            if flow["context"].get("entry_id") == entry_id and flow["context"]["source"] == SOURCE_REAUTH
        ]
        if asking:
            return self.async_abort(reason="opened", next_flow=(FlowType.CONFIG_FLOW, asking[0]))
        flow = await self.hass.config_entries.flow.async_init(
            DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry_id}
        )
        return self.async_abort(reason="opened", next_flow=(FlowType.CONFIG_FLOW, flow["flow_id"]))


class NoNodeFlow(JoinRefusedFlow):
    """Opens the form in which another meter of the home network, or a dongle, can be chosen."""

    options: ClassVar = ["form", "ignore"]


def _text(findings: Iterable[Finding], words: Mapping[str, str]) -> str:
    """Return the findings in words, a line each."""
    return "\n\n".join(
        f"{MARKS[finding.verdict]} **{words[f'check_{finding.check.value}']}**: {words[f'found_{finding.key}']}"
        + (f" ({finding.details})" if finding.facts else "")
        for finding in findings
    )
