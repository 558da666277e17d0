"""Settings of metrics: what every service reads, under this service's names."""

from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr

from lastmetre.common.service.kafka_settings import EnvironmentSettings
from lastmetre.common.service.settings import CITY_TIME_ZONE, ServiceSettings


class MetricsSettings(ServiceSettings):
    """Environment variables: METRICS_DATABASE_URL, METRICS_HTTP_HOST, METRICS_HTTP_PORT …"""

    database_url: SecretStr = Field(validation_alias="METRICS_DATABASE_URL")
    http_host: str = Field(default="127.0.0.1", validation_alias="METRICS_HTTP_HOST")
    http_port: int = Field(default=8104, validation_alias="METRICS_HTTP_PORT")
    admin_host: str = Field(default="", validation_alias="METRICS_ADMIN_HOST")
    admin_port: int = Field(default=8114, validation_alias="METRICS_ADMIN_PORT")
    service_key: SecretStr = Field(validation_alias="METRICS_SERVICE_KEY")


class RebuildSettings(EnvironmentSettings):
    """What a rebuild or a comparison reads: it serves nobody, and needs no keys."""

    database_url: SecretStr = Field(validation_alias="METRICS_DATABASE_URL")
    city_time_zone: ZoneInfo = CITY_TIME_ZONE
