"""One sandbox's view: what its browser may see of each answer and message, and what is remembered for that."""

from __future__ import annotations

import json
import posixpath
from collections import Counter, OrderedDict
from typing import Any
from urllib.parse import unquote

from egress_gate.doors import contents, listings, notices, own
from egress_gate.doors.allotment import Allotment, MeteredJudge, nothing_more_is_shown
from egress_gate.doors.answers import Answers
from egress_gate.doors.blind_judge import BlindJudge
from egress_gate.doors.drawer import Drawer
from egress_gate.doors.errors import ASK_FOR_RELEASE, DoorFault, ShownWithheld
from egress_gate.doors.interface import Interface
from egress_gate.doors.kernel_judge import GuardedJudge, OpenJudge
from egress_gate.doors.known import Known
from egress_gate.doors.listings import Ids
from egress_gate.doors.memory import KernelMemory
from egress_gate.doors.routes import Route, Shape
from egress_gate.doors.sandboxes import Sandbox
from egress_gate.doors.terminal_judge import EventsJudge, TerminalJudge
from egress_gate.doors.trail import Event, Trail
from egress_gate.doors.view import Budget
from egress_gate.doors.websocket import Judge
from store.clock import now

MOST_KERNELS = 64
BEGINNINGS = frozenset({"kernels", "kernel-action", "sessions", "session"})
LEAST_ANSWER = 1024  # bytes that an answer of the sandbox costs under blind, however little it says
TERMINALS = frozenset({"terminals", "terminal", "terminal-socket"})


class Preparing(DoorFault):
    """The interface could not be taken from the image (yet), and this view serves no other."""

    code = "interface-away"
    status = 503


class Viewer:
    """Applies ``sandbox.view`` (open, guarded, blind) to everything on the way to the browser."""

    def __init__(
        self, sandbox: Sandbox, trail: Trail, budget: Budget, known: Known, interface: Interface | None,
        allotment: Allotment | None = None,
    ) -> None:  # fmt: skip
        self.sandbox = sandbox
        self.answers = Answers()
        self._trail = trail
        self._budget = budget
        self._known = known
        self.allotment = allotment or Allotment(trail.tally(sandbox.project), {}, Counter())
        self._ids = Ids()
        self._interface = interface
        self._drawer = Drawer(interface) if interface else None
        self._kernels: OrderedDict[str, KernelMemory] = OrderedDict()

    @property
    def blind(self) -> bool:
        return self.sandbox.view == "blind"

    def install(self, interface: Interface) -> None:
        if self._interface is None:
            self._interface, self._drawer = interface, Drawer(interface)

    def note_running(self) -> None:
        for memory in self._kernels.values():
            memory.note_running()

    def close(self) -> None:
        for memory in self._kernels.values():
            memory.close()

    # -- before the sandbox is asked -----------------------------------------------------------------------------------
    def admit(self, route: Route, method: str) -> None:
        """Raises ShownWithheld for what this view does not have at all; asked for a list, it is an empty one. Raises QuotaSpent."""
        if self.allotment.spent("shown_bytes") and route.shape is not Shape.ASSET:
            raise nothing_more_is_shown()
        if self.blind and route.name in TERMINALS and (route.name, method) != ("terminals", "GET"):
            raise ShownWithheld(
                "Terminals are closed here.", why=notices.BLIND, do="Work in a notebook. " + ASK_FOR_RELEASE
            )

    def own(self, route: Route, method: str, relative: str, body: bytes) -> own.Answer | None:
        """The door's own answer, if it has one. Raises DoorFault."""
        if self._interface is None or self._drawer is None:
            if self.sandbox.view != "open":
                raise Preparing(
                    "JupyterLab is being prepared.",
                    why="Its code is taken from the sandbox image once, so that it cannot carry data.",
                    do="Reload in half a minute; if it stays so, tell the operator.",
                )
            return None
        found = own.of_image(route, relative, self.sandbox, self._interface)
        if found is not None or self.sandbox.view == "open":
            return found
        return own.narrow(route, method, relative, body, self.sandbox, self._interface, self._drawer)

    def path(self, relative: str) -> str:
        return self._ids.path(relative) if self.blind else relative

    def inward(self, route: Route, method: str, relative: str, body: bytes) -> bytes:
        """A body on its way in: uploads pass the import rule and are recorded. Raises ImportRefused."""
        if route.shape is Shape.CONTENTS and method in ("PUT", "POST", "PATCH"):
            self._import(unquote(relative.removeprefix("api/contents")).strip("/"), method, body)
        elif self.blind and route.name in ("sessions", "session", "kernels"):
            return listings.inbound(body, self._ids, self._known)
        return body

    def _import(self, path: str, method: str, body: bytes) -> None:
        model = listings.parsed(body) if body and method != "PUT" else {}
        if method == "PATCH":
            if isinstance(model, dict) and isinstance(model.get("path"), str):
                self._known.moved(path, model["path"])
            return
        taken = contents.imported(path, body) if body else None
        if taken is None:
            if method == "PUT":
                kind = listings.parsed(body).get("type") if body else None
                self._known.came_in(path, "directory" if kind == "directory" else "file")
            return
        self._known.came_in(path, taken.kind, taken.version)
        facts: dict[str, Any] = {"path": path[:200], "kind": taken.kind}
        if self.blind:
            facts["version"] = taken.version
        self._trail.happened(self.sandbox, Event("upload", taken.digest, taken.size, facts, now()))

    # -- what comes back ------------------------------------------------------------------------------------------------
    def answered(self, method: str, relative: str, status: int) -> int:
        """The status that a browser gets. Under ``blind`` even that is an output: it costs, and few are told apart.

        Raises ShownWithheld when the budget is spent.
        """
        if not self.blind:
            return status
        over = self._budget.spend(LEAST_ANSWER)
        if over:
            raise ShownWithheld(
                "That was not shown.", why=f"This project's view is blind, and {over}.", do=ASK_FOR_RELEASE
            )
        if method == "DELETE" and status == 204 and relative.startswith("api/contents"):
            self._known.removed(unquote(relative.removeprefix("api/contents")))
        return status if status < 400 else 404 if status == 404 else 400

    def outward(self, route: Route, method: str, relative: str, status: int, body: bytes) -> bytes:
        """A JSON body on its way to the browser, as this view shows it. Raises ShownWithheld or SandboxMisbehaved."""
        if status >= 400:
            return self._error(body)
        if route.shape is Shape.CONTENTS:
            return self._contents(method, relative, body)
        if self.sandbox.view == "open" or not body:
            return body
        answer = listings.parsed(body)
        if self.blind:
            if method in ("POST", "PATCH") and route.name in BEGINNINGS:
                self._ids.bind(answer, self._known)
            return _dump(self._blind_json(route, answer))
        made = _dump(answer)
        over = self._budget.spend(len(made))
        if over:
            raise ShownWithheld(
                "That was not shown.", why=f"This project's view is guarded, and {over}.", do=ASK_FOR_RELEASE
            )
        return made

    def _blind_json(self, route: Route, answer: Any) -> Any:
        if route.name in ("kernels", "kernel", "kernel-action", "sessions", "session"):
            return listings.blind(answer, self._ids)
        if route.name == "checkpoints":
            one = {"id": "checkpoint", "last_modified": listings.NEVER}
            return [one] if isinstance(answer, list) and answer else [] if isinstance(answer, list) else one
        return {}

    def _error(self, body: bytes) -> bytes:
        if self.sandbox.view == "open":
            return body
        if self.blind or self._budget.spend(len(body)):
            return _dump({"message": "The notebook server refused this; its words are withheld."})
        return _dump(listings.parsed(body))

    def _contents(self, method: str, relative: str, body: bytes) -> bytes:
        if not body:
            return body
        if "/checkpoints" in relative and self.sandbox.view == "open":
            return body
        model = contents.model_of(body)
        contents.refuse_download(model)
        if self.sandbox.view == "open":
            return body
        if not self.blind:
            return _dump(contents.guarded(model, self._budget))
        return _dump(contents.blind(model, self._known, self._asked(method, relative, model)))

    def _asked(self, method: str, relative: str, model: dict[str, Any]) -> str:
        """Where a file is: by the address, but for a new or renamed one, whose name must then be a known one."""
        path = unquote(relative.removeprefix("api/contents")).strip("/")
        if method in ("GET", "PUT"):
            return path
        named = str(model.get("path", "")).strip("/")
        new = posixpath.dirname(named) == path and not self._budget.spend(0, cells=1)
        if not self._known.name(named) or (method == "POST" and not new):
            raise ShownWithheld(
                "The file was not shown.", why="Its name did not come in through this page.", do=ASK_FOR_RELEASE
            )
        if self._known.kind(named) is None:
            self._known.came_in(named, str(model["type"]))
        return named

    # -- websockets -----------------------------------------------------------------------------------------------------
    def judge(self, route: Route, relative: str, protocol: str | None, who: str) -> Judge:
        inner = self._judge(route, relative, protocol, who)
        kernel = route.shape not in (Shape.EVENTS, Shape.TERMINAL)
        return MeteredJudge(inner, self.allotment, protocol, self._refused, kernel=kernel)

    def _judge(self, route: Route, relative: str, protocol: str | None, who: str) -> Judge:
        if route.shape is Shape.EVENTS:
            return EventsJudge(self._refused, self._budget, blind=self.blind)
        if route.shape is Shape.TERMINAL:
            return TerminalJudge(self._refused, self._budget)
        memory = self._memory(relative)
        if self.sandbox.view == "open":
            return OpenJudge(memory, protocol, who, self._refused)
        if self.blind:
            return BlindJudge(memory, protocol, who, self._refused, self._budget, self.answers)
        return GuardedJudge(memory, protocol, who, self._refused, self._budget)

    def _memory(self, kernel: str) -> KernelMemory:
        found = self._kernels.get(kernel)
        if found is None:
            found = self._kernels[kernel] = KernelMemory(self.sandbox, self._trail)
            while len(self._kernels) > MOST_KERNELS:
                self._kernels.popitem(last=False)[1].close()
        return found

    def _refused(self, code: str, what: str) -> None:
        self._trail.refused(self.sandbox, code, "message", what)


def _dump(answer: Any) -> bytes:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
