"""Settings that several services share, one concern a class."""

from typing import Literal

from pydantic import Field, SecretStr

from shared.settings.base import ServiceSettings


class AmqpSettings(ServiceSettings):
    amqp_url: SecretStr = Field(
        default=SecretStr("amqp://guest:guest@127.0.0.1:5672/"),
        description="RabbitMQ, with this service's own user: amqp://user:password@host:port/vhost",
    )


class RedisSettings(ServiceSettings):
    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"), description="Redis: redis://[user:password@]host:port/db"
    )


class TelemetrySettings(ServiceSettings):
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least severe log line that is written"
    )


class HttpSettings(ServiceSettings):
    host: str = Field(default="127.0.0.1", description="The address the service listens on; 0.0.0.0 in a container")


class PolicySettings(ServiceSettings):
    policy_file: str = Field(default="config/policy.yaml", description="The policy: who is messaged, when and how")
