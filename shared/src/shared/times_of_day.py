"""Times of day as they are written in settings."""

from datetime import time
from typing import Annotated

from pydantic import BeforeValidator, Field

MINUTES_A_DAY = 24 * 60


def _minute_of_day(value: object) -> object:
    if not isinstance(value, str):
        return value
    hours, colon, minutes = value.partition(":")
    if not (colon and hours.isdecimal() and minutes.isdecimal() and len(minutes) == 2 and int(minutes) < 60):
        raise ValueError('must be a time such as "09:00"')
    if int(hours) * 60 + int(minutes) > MINUTES_A_DAY:
        raise ValueError('must be a time between "00:00" and "24:00"')
    return int(hours) * 60 + int(minutes)


def _time_of_day(value: object) -> object:
    minute = _minute_of_day(value)
    if not isinstance(minute, int):
        return minute
    if minute >= MINUTES_A_DAY:
        raise ValueError('must be a time between "00:00" and "23:59"')
    return time(*divmod(minute, 60))


MinuteOfDay = Annotated[int, BeforeValidator(_minute_of_day), Field(ge=0, le=MINUTES_A_DAY)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
