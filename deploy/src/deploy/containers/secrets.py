"""Makes the internal passwords, keys and addresses once: ``python -m deploy.containers.secrets``.

Every container's folder is a volume that only it mounts, read-only.
"""

from pathlib import Path

from deploy.containers.holders import USERS, files_of_holders
from deploy.files import write_private
from deploy.installation import trial_secrets
from deploy.passwords import load_passwords

FOLDER = Path("/secrets")
_SERVERS = ("rabbitmq", "redis", "postgres")


def write_secrets(folder: Path) -> None:
    """Fill ``folder/‹container›/``; what was made before, kept in ``folder/all``, stays as it is."""
    passwords = load_passwords(folder / "all" / "passwords.json", USERS)
    keys = trial_secrets(folder / "all" / "keys.json")
    for holder, files in files_of_holders(passwords, keys).items():
        for name, text in files.items():
            path = folder / holder / name
            write_private(path, text)
            if holder in _SERVERS:
                # A server's user has another number in every image; nobody else can see the volume.
                path.chmod(0o444)


if __name__ == "__main__":
    write_secrets(FOLDER)
