"""What a browser does, without a browser: cookies, redirects, forms, and the Jupyter kernel protocol over a websocket.

The demo uses nothing but public routes with this, so that what it shows is what a person at the address can do.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from yarl import URL


class BrowserFault(Exception):
    """The site did not answer as a browser needs; the message holds status, address and the start of the body."""


@dataclass(frozen=True)
class Page:
    status: int
    url: str
    body: bytes
    headers: dict[str, str]

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        return json.loads(self.body)

    def expect(self, *statuses: int) -> Page:
        if self.status not in statuses:
            raise BrowserFault(f"HTTP {self.status} from {self.url}: {self.text[:600]}")
        return self


@dataclass
class Outcome:
    """What a cell showed: text of streams and results, the error if one was raised."""

    text: str = ""
    html: list[str] = field(default_factory=list)
    error: str = ""


class Browser:
    """One person's browser: a cookie jar and an address bar."""

    def __init__(self, base: str) -> None:
        self.base = base.rstrip("/")
        self.person = ""
        self.session = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=aiohttp.ClientTimeout(total=120)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    def xsrf(self, path: str) -> str:
        """The double-submit value that pages under ``path`` send back (JupyterHub and the desk use the same cookie name)."""
        morsel = self.session.cookie_jar.filter_cookies(URL(self.base + path)).get("_xsrf")
        return morsel.value if morsel else ""

    async def open(
        self,
        path: str,
        *,
        method: str = "GET",
        data: Any = None,
        json_body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Page:
        url = path if path.startswith("http") else self.base + path
        sent = {"Accept": "text/html,application/json;q=0.9", **(headers or {})}
        if method != "GET":
            sent.setdefault("Origin", self.base)
            sent.setdefault("Sec-Fetch-Site", "same-origin")
            token = self.xsrf(URL(url).path)
            if token:
                sent.setdefault("X-XSRFToken", token)
        async with self.session.request(method, url, data=data, json=json_body, headers=sent) as answer:
            return Page(answer.status, str(answer.url), await answer.read(), dict(answer.headers))

    async def desk_post(self, path: str, body: dict[str, Any]) -> Page:
        """A change through the desk's JSON API, with the session's own secret against forged requests."""
        session = (await self.open("/services/gate/api/v1/session")).expect(200).json()
        return await self.open(path, method="POST", json_body=body, headers={"X-CSRF-Token": session["csrf"]})

    async def sign_in(self, person: str, password: str) -> Page:
        """Through the hub's login form, as a person does. Returns the page that follows."""
        await self.open("/hub/login")
        form = {"username": person, "password": password, "_xsrf": self.xsrf("/hub/login")}
        page = await self.open("/hub/login?next=%2Fhub%2Fhome", method="POST", data=form)
        if page.status != 200 or "/hub/login" in page.url:
            raise BrowserFault(f"{person} could not sign in: HTTP {page.status} at {page.url}")
        self.person = person
        return page

    async def spawn(self, project: str, patience: float = 90) -> None:
        """Choose ``project`` in the spawn form and wait until the server is ready. Returns at once if it already runs."""
        ready = await self.open(f"/user/{self.person}/api/status")
        if ready.status == 200:
            return
        form = (await self.open(f"/hub/spawn/{self.person}")).expect(200)
        if "spawn-pending" not in form.url:
            token = re.search(r'name="_xsrf"\s+value="([^"]+)"', form.text)
            fields = {"project": project, "_xsrf": token.group(1) if token else self.xsrf("/hub/spawn")}
            (await self.open(f"/hub/spawn/{self.person}", method="POST", data=fields)).expect(200)
        async with asyncio.timeout(patience):
            while True:
                page = await self.open(f"/user/{self.person}/api/status")
                if page.status == 200 and "kernels" in page.text:
                    return
                pending = await self.open(f"/hub/spawn-pending/{self.person}")
                if pending.status >= 500:
                    raise BrowserFault(f"The spawn failed: {_plain(pending.text)[:800]}")
                await asyncio.sleep(0.4)


def _plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", html, flags=re.S)).strip()


class Notebook:
    """A notebook opened in the person's Lab: a kernel session whose cells are executed one by one."""

    def __init__(self, browser: Browser, name: str) -> None:
        self.browser = browser
        self.name = name
        self.prefix = f"/user/{browser.person}"
        self.cells: list[dict[str, Any]] = []
        self.kernel = ""
        self.socket: aiohttp.ClientWebSocketResponse | None = None

    async def __aenter__(self) -> Self:
        await self._save()
        body = {"path": self.name, "name": self.name, "type": "notebook", "kernel": {"name": "python3"}}
        made = await self.browser.open(f"{self.prefix}/api/sessions", method="POST", json_body=body)
        self.kernel = made.expect(200, 201).json()["kernel"]["id"]
        address = f"{self.browser.base}{self.prefix}/api/kernels/{self.kernel}/channels?session_id={uuid.uuid4().hex}"
        self.socket = await self.browser.session.ws_connect(
            address, headers={"Origin": self.browser.base}, max_msg_size=2**26
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.socket is not None:
            await self.socket.close()
        await self.browser.open(f"{self.prefix}/api/kernels/{self.kernel}", method="DELETE")

    async def run(self, code: str, patience: float = 120) -> Outcome:
        """Execute one cell and wait for its reply and for the kernel to be idle again."""
        if self.socket is None:
            raise BrowserFault("The notebook is not open.")
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "username": self.browser.person,
            "session": uuid.uuid4().hex,
            "version": "5.3",
            "date": "",
        }
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        await self.socket.send_json(
            {
                "header": header,
                "parent_header": {},
                "metadata": {},
                "content": content,
                "channel": "shell",
                "buffers": [],
            }
        )
        outcome, replied, idle = Outcome(), False, False
        outputs: list[dict[str, Any]] = []
        async with asyncio.timeout(patience):
            while not (replied and idle):
                message = await self._next(header["msg_id"])
                kind, body = message["header"]["msg_type"], message["content"]
                if kind == "execute_reply":
                    replied = True
                elif kind == "status" and body["execution_state"] == "idle":
                    idle = True
                else:
                    _collect(outcome, outputs, kind, body)
        self.cells.append(
            {
                "cell_type": "code",
                "execution_count": len(self.cells) + 1,
                "metadata": {},
                "source": code,
                "outputs": outputs,
            }
        )
        return outcome

    async def _next(self, parent: str) -> dict[str, Any]:
        if self.socket is None:
            raise BrowserFault("The notebook is not open.")
        while True:
            received = await self.socket.receive()
            if received.type is not aiohttp.WSMsgType.TEXT:
                raise BrowserFault(f"The kernel connection ended: {received.type.name} {received.extra or ''}")
            message: dict[str, Any] = json.loads(received.data)
            if message.get("parent_header", {}).get("msg_id") == parent:
                return message

    async def save(self) -> None:
        await self._save()

    async def _save(self) -> None:
        content = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "cells": self.cells,
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        }
        page = await self.browser.open(
            f"{self.prefix}/api/contents/{self.name}",
            method="PUT",
            json_body={"type": "notebook", "format": "json", "content": content},
        )
        page.expect(200, 201)


def _collect(outcome: Outcome, outputs: list[dict[str, Any]], kind: str, body: dict[str, Any]) -> None:
    if kind == "stream":
        outcome.text += body["text"]
        outputs.append({"output_type": "stream", "name": body["name"], "text": body["text"]})
    elif kind in ("execute_result", "display_data"):
        outcome.text += body["data"].get("text/plain", "") + "\n"
        if "text/html" in body["data"]:
            outcome.html.append(body["data"]["text/html"])
        made: dict[str, Any] = {"output_type": kind, "data": body["data"], "metadata": body.get("metadata", {})}
        if kind == "execute_result":
            made["execution_count"] = body["execution_count"]
        outputs.append(made)
    elif kind == "error":
        outcome.error = f"{body['ename']}: {body['evalue']}"
        outputs.append(
            {
                "output_type": "error",
                "ename": body["ename"],
                "evalue": body["evalue"],
                "traceback": body.get("traceback", []),
            }
        )
