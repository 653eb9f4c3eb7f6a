"""The notebook server's end of a kernel's websocket: when the memory limit ended the kernel, the cell that ran says so."""

import json

from jupyter_server.services.kernels.connection.base import (
    deserialize_binary_message,
    deserialize_msg_from_ws_v1,
    serialize_msg_to_ws_v1,
)
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from glovebox_told import limits

V1 = "v1.kernel.websocket.jupyter.org"
NAME = "MemoryLimitReached"


class TellingConnection(ZMQChannelsWebsocketConnection):
    """Remembers which cell was asked last, to have a place for the message."""

    _asked = None
    _killed = None

    def handle_incoming_message(self, incoming_msg):
        try:
            self._remember(incoming_msg)
        except Exception:  # noqa: BLE001 - what cannot be read is for the class above to judge
            self._asked = None
        super().handle_incoming_message(incoming_msg)

    def on_kernel_restarted(self):
        self._tell_why()
        super().on_kernel_restarted()

    def on_restart_failed(self):
        self._tell_why()
        super().on_restart_failed()

    def _remember(self, message):
        if self.subprotocol == V1:
            channel, parts = deserialize_msg_from_ws_v1(message)
            header = self.session.unpack(parts[0])
        else:
            told = deserialize_binary_message(message) if isinstance(message, bytes) else json.loads(message)
            channel, header = told.get("channel"), told["header"]
        if channel == "shell" and header["msg_type"] == "execute_request":
            self._asked = header
            self._killed = limits.killed_for_memory()

    def _tell_why(self):
        asked, before = self._asked, self._killed
        self._asked = None
        if asked is None or before is None or limits.killed_for_memory() <= before:
            return
        said = limits.memory_said()
        content = {"ename": NAME, "evalue": said, "traceback": [f"{NAME}: {said}"]}
        message = self.session.msg("error", content=content, parent=asked)
        if self.subprotocol == V1:
            self.write_message(serialize_msg_to_ws_v1(message, "iopub", self.session.pack), binary=True)
        else:
            message["channel"] = "iopub"
            self.write_message(json.dumps(message, default=str))
