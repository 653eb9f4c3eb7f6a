"""A proxy that only remembers its routes, so that neither hub is measured with one."""

from __future__ import annotations

from typing import Any

from jupyterhub.proxy import Proxy


class NullProxy(Proxy):  # type: ignore[misc]
    should_start = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._kept: dict[str, dict[str, Any]] = {}

    async def add_route(self, routespec: str, target: str, data: dict[str, Any]) -> None:
        self._kept[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        self._kept.pop(routespec, None)

    async def get_all_routes(self) -> dict[str, dict[str, Any]]:
        return dict(self._kept)
