"""What every message between services has in common."""

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints


class Contract(BaseModel):
    """A frozen value that tolerates fields it does not know, so that producers may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_timedelta="float")


class Event(Contract):
    """A fact or a request on the ``duebell.events`` exchange; ``key`` is its routing key and AMQP type."""

    key: ClassVar[str]


Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200)]
UtcTime = AwareDatetime
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
