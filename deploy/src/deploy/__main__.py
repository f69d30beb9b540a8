"""``python -m deploy``."""

from deploy.cli import create_cli

if __name__ == "__main__":
    create_cli()()
