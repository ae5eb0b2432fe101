"""`aura secrets`: keys that encrypt secrets in the database."""

from __future__ import annotations

import typer

from aura.cli.database import audited, ready_database
from aura.cli.options import FormatOption
from aura.cli.output import note, print_result

app = typer.Typer(
    name="secrets", help="Encryption of secrets in the database: generate a key, rotate keys.", no_args_is_help=True
)


@app.command("generate-key")
def generate_key() -> None:
    """Print a new key for AURA_ENCRYPTION_KEYS. It is stored nowhere.

    Example: aura secrets generate-key
    """
    from secrets import token_urlsafe

    print(token_urlsafe(32))


@app.command("decrypt")
def decrypt(fmt: FormatOption = "table") -> None:
    """Store every secret in the database as plain text, to return to a version that cannot decrypt. Stop the processes first.

    Example: aura secrets decrypt
    """
    with ready_database():
        from db import secret_columns

        count = secret_columns.decrypt_all()
    with audited("secrets.decrypt", "secrets", values=count):
        pass
    print_result(fmt, {"decrypted": count}, f"{count} values stored as plain text")


@app.command("rotate")
def rotate(fmt: FormatOption = "table") -> None:
    """Encrypt every secret in the database with the first key of AURA_ENCRYPTION_KEYS, also those in plain text.

    Add the new key in front of the others, restart every process, and run this command; then remove the old key.

    Example: aura secrets rotate
    """
    from aura.errors import ConfigurationError

    with ready_database():
        from db import encryption, secret_columns

        if not encryption.available():
            raise ConfigurationError(
                "AURA_ENCRYPTION_KEYS: not set; `aura secrets generate-key` prints a key, which every process needs"
            )
        count = secret_columns.encrypt_all()
    with audited("secrets.rotate", "secrets", values=count):
        pass
    print_result(fmt, {"encrypted": count}, f"{count} values encrypted with the first key")
    note("Every process needs this key now. Backups from before still need the previous keys.")
