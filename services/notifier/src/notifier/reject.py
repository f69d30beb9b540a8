"""``python -m notifier.reject TENANT --invoice X | --contact C | --all [--by WHO]``: refuses for good what is held."""

from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import approvals, command
from notifier.approvals import Which
from notifier.release import arguments
from shared.runtime.clock import utc_now


def main() -> None:
    parser = arguments("python -m notifier.reject", __doc__)
    parser.add_argument("--all", action="store_true", help="all that is held for the organisation")
    options = parser.parse_args()
    which = Which(options.tenant, options.invoice, options.contact)
    if which.everything and not options.all:
        parser.error("say which: --invoice, --contact, or --all")

    async def refuse(engine: AsyncEngine) -> str:
        await command.must_be_known(engine, options.tenant)
        return f"{await approvals.refuse(engine, which, options.by, utc_now())} rejected"

    command.run(refuse)


if __name__ == "__main__":
    main()
