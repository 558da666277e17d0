"""The network as this process last loaded it."""

from typing import TYPE_CHECKING

from lastmetre.dispatch.adapters.postgres import network as store
from lastmetre.dispatch.domain.network import Network

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


class NetworkCache:
    """Keeps the prepared polygons of the version that decides."""

    def __init__(self) -> None:
        self._network = Network(0, [])

    async def current(self, connection: "Connection") -> Network:
        """The network of the version in the database, loaded anew only when that changed."""
        version = await store.network_version(connection)
        if version != self._network.version:
            self._network = Network(version, await store.areas(connection))
        return self._network
