"""The real OPA server on the loopback interface, reached with its Python client and a bearer token."""

from __future__ import annotations

from typing import Any

from opa_client.errors import ConnectionsError
from opa_client.opa import OpaClient
from requests.exceptions import RequestException

from policy_engine.port import Answer, unavailable

ENGINE = "opa"
TIMEOUT = 10.0


class OpaServer:
    """One HTTP session to one server. Raises PolicyUnavailable for everything that is not a defined answer."""

    def __init__(self, host: str, port: int, token: str, timeout: float = TIMEOUT) -> None:
        self._client = OpaClient(host=host, port=port, token=token, timeout=timeout)

    def query(self, entry_point: str, facts: dict[str, Any], /) -> Answer:
        try:
            body = self._client.query_rule(
                input_data=facts, package_path=entry_point, rule_name="answer", query_params={"provenance": "true"}
            )
        except (RequestException, ConnectionsError, ValueError, TypeError) as broken:
            raise unavailable("The policy engine did not answer.", f"{entry_point}: {broken}") from broken
        if not isinstance(body, dict) or "result" not in body:
            raise unavailable("The policy gave no answer.", f"{entry_point}: {body}")
        return Answer(body["result"], ENGINE, _revision(body))

    def close(self) -> None:
        self._client.close_connection()


def _revision(body: dict[str, Any]) -> str:
    """The digest of what the server really loaded, from its own provenance. Raises PolicyUnavailable without one."""
    bundles = body.get("provenance", {}).get("bundles", {})
    revisions = [str(found.get("revision")) for found in bundles.values() if found.get("revision")]
    if len(revisions) != 1:
        raise unavailable("The policy engine does not say which policies it runs.", str(body.get("provenance")))
    return revisions[0]
