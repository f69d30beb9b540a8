"""What is written down about a stack, so that another process can ask and steer it by its folder alone."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.errors import StackError
from deploy.files import write_private
from deploy.program import Program


@dataclass(frozen=True)
class Row:
    """One process as it should be."""

    name: str
    service: str
    replica: int
    port: int
    url: str
    is_server: bool


@dataclass(frozen=True)
class Record:
    """Addresses of a stack; ``management_url`` is empty when its RabbitMQ is not its own."""

    amqp_admin_url: str
    management_url: str
    redis_url: str
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, programs: list[Program], *, amqp_admin_url: str, management_url: str, redis_url: str) -> "Record":
        rows = tuple(
            Row(program.name, program.service, program.replica, program.port or 0, program.url, program.is_server)
            for program in programs
        )
        return cls(amqp_admin_url, management_url, redis_url, rows)

    def row(self, service: str, replica: int = 1) -> Row:
        """Raises :class:`StackError` when the stack has no such process."""
        for row in self.rows:
            if (row.service, row.replica) == (service, replica):
                return row
        raise StackError(f"there is no {service}-{replica} in this stack")


def write_record(path: Path, record: Record) -> None:
    write_private(path, json.dumps(asdict(record), indent=1) + "\n")


def read_record(path: Path) -> Record:
    """Raises :class:`StackError` when nothing was ever started there."""
    if not path.exists():
        raise StackError("nothing is running here; `make up` starts it")
    raw = json.loads(path.read_text(encoding="utf-8"))
    return Record(**{**raw, "rows": tuple(Row(**row) for row in raw["rows"])})
