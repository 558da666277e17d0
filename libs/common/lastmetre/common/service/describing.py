"""What a service says about itself to programs: its OpenAPI documents and its Kafka channels."""

from typing import Any

from fastapi import FastAPI

from lastmetre.common.service.host import ServiceHost


def description(app: FastAPI) -> dict[str, Any]:
    """`openapi`, `admin` for that of the admin port, and the topics that are read and written."""
    host: ServiceHost = app.state.host
    return {
        "openapi": app.openapi(),
        "admin": app.state.admin.openapi(),
        "subscribers": {
            f"{host.name}.{each.name}": list(each.topics) for each in host.subscribers.declared
        },
        "publishes": list(host.sends_to),
    }
