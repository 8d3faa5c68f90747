"""What a browser would say to Home Assistant: REST and websocket commands."""

from dataclasses import dataclass
import time
from typing import Any

import aiohttp

from .process import StepError

type Json = Any  # Home Assistant's answers have no types here; the caller knows what comes.

NAME = "Demo"
USERNAME = "demo"
PASSWORD = "demo"  # a house that does not exist

QUIET = 20.0
"""Seconds without a command after which the websocket is opened anew.

Pings are answered only while an answer is awaited, and Home Assistant closes a websocket that leaves one unanswered.
"""

LIFETIME = 1200.0
"""Seconds for which an access token is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens of a user who is logged in."""

    access: str
    """Good for half an hour."""
    refresh: str


class Client:
    """One address of Home Assistant, and after `log_in` a user of it."""

    def __init__(self, address: str, session: aiohttp.ClientSession) -> None:
        self.address = address
        self._session = session
        self._tokens: Tokens | None = None
        self._websocket: aiohttp.ClientWebSocketResponse | None = None
        self._number = 0
        self._since = self._last_command = 0.0

    @property
    def client_id(self) -> str:
        """The name under which the frontend itself asks for tokens."""
        return f"{self.address}/"

    @property
    def tokens(self) -> Tokens:
        """The tokens of the user who is logged in."""
        if self._tokens is None:
            raise StepError("nobody is logged in")
        return self._tokens

    async def get(self, path: str) -> Json:
        """Ask for something over REST."""
        return await self._request("GET", path)

    async def post(self, path: str, **fields: object) -> Json:
        """Send something over REST."""
        return await self._request("POST", path, json=fields)

    async def delete(self, path: str) -> Json:
        """Delete something over REST."""
        return await self._request("DELETE", path)

    async def onboard(self, lang: str) -> None:
        """Do what a person does with a new Home Assistant: make the first user, and skip the rest."""
        answer = await self.post(
            "/api/onboarding/users",
            client_id=self.client_id,
            name=NAME,
            username=USERNAME,
            password=PASSWORD,
            language=lang,
        )
        await self._exchange(answer["auth_code"])
        await self.post("/api/onboarding/analytics")
        await self.post("/api/onboarding/integration", client_id=self.client_id, redirect_uri=self.client_id)

    async def log_in(self) -> None:
        """Log in with user name and password."""
        flow = await self.post(
            "/auth/login_flow",
            client_id=self.client_id,
            handler=["homeassistant", None],
            redirect_uri=self.client_id,
        )
        answer = await self.post(
            f"/auth/login_flow/{flow['flow_id']}", client_id=self.client_id, username=USERNAME, password=PASSWORD
        )
        if answer["type"] != "create_entry":
            raise StepError.unexpected(f"{USERNAME} cannot log in", answer.get("errors"))
        await self._exchange(answer["result"])

    async def connect(self) -> None:
        """Open the websocket."""
        await self._refresh()
        self._websocket = await self._session.ws_connect(f"{self.address}/api/websocket", max_msg_size=0)
        await self._websocket.receive_json()
        await self._websocket.send_json({"type": "auth", "access_token": self.tokens.access})
        answer = await self._websocket.receive_json()
        if answer["type"] != "auth_ok":
            raise StepError.unexpected("the websocket refuses the token", answer)
        self._last_command = time.monotonic()

    async def command(self, command: str, **fields: object) -> Json:
        """Give a websocket command and return its result."""
        if self._websocket is None:
            raise StepError("the websocket is not open")
        if time.monotonic() - self._last_command > QUIET:
            await self.close()
            await self.connect()
        self._last_command = time.monotonic()
        self._number += 1
        await self._websocket.send_json({"id": self._number, "type": command, **fields})
        answer = await self._websocket.receive_json()
        if answer.get("id") != self._number or not answer.get("success"):
            raise StepError.unexpected(f"{command} was refused", answer.get("error", answer))
        return answer["result"]

    async def close(self) -> None:
        """Leave; Home Assistant would wait ten seconds for a websocket that stays open."""
        if self._websocket is not None:
            await self._websocket.close()
            self._websocket = None

    async def _exchange(self, code: str) -> None:
        """Exchange a code for tokens."""
        form = {"grant_type": "authorization_code", "client_id": self.client_id, "code": code}
        answer = await self._request("POST", "/auth/token", data=form)
        self._tokens = Tokens(access=answer["access_token"], refresh=answer["refresh_token"])
        self._since = time.monotonic()

    async def _refresh(self) -> None:
        """Get another access token before the last one ends."""
        if self._tokens is None or time.monotonic() - self._since < LIFETIME:
            return
        form = {"grant_type": "refresh_token", "client_id": self.client_id, "refresh_token": self._tokens.refresh}
        async with self._session.post(f"{self.address}/auth/token", data=form) as response:
            answer = await response.json()
        self._tokens = Tokens(access=answer["access_token"], refresh=self._tokens.refresh)
        self._since = time.monotonic()

    async def _request(self, method: str, path: str, *, json: Json = None, data: Json = None) -> Json:
        await self._refresh()
        headers = {} if self._tokens is None else {"Authorization": f"Bearer {self._tokens.access}"}
        async with self._session.request(
            method, self.address + path, headers=headers, json=json, data=data
        ) as response:
            if not response.ok:
                raise StepError(f"{method} {path} was answered by {response.status}: {await response.text()}")
            return await response.json()
