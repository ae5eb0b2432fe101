"""Storage in an S3-compatible store.

The library is obstore (16 MB installed, one dependency, typed, streams): minio (21 MB) had no release for a year, and boto3
takes 37 MB. Contents are sent in one request, because an aborted multipart upload leaves parts that nobody sees and that
cost money.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from aura.attachments.storage.base import ContentMissing, StorageUnavailable
from aura.errors import ConfigurationError
from db.attachments import CHUNK

#: Seconds that a request may take, and retries of a failed one; jobs are retried by themselves.
TIMEOUT, RETRIES = 30, 2


class S3Storage:
    """Stores contents as objects of a bucket, below a prefix."""

    def __init__(self, url: str) -> None:
        self._store = _store(url)
        parts = urlsplit(url)
        self._where = f"{parts.hostname or ''}{parts.path}"

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        """Put an object."""
        import obstore

        try:
            obstore.put(self._store, key, b"".join(chunks), use_multipart=False)
        except (obstore.exceptions.BaseError, OSError, ValueError) as error:
            raise self._unavailable(error) from None

    def read(self, key: str) -> Iterator[bytes]:
        """Yield the object in parts."""
        import obstore

        try:
            for part in obstore.get(self._store, key).stream(min_chunk_size=CHUNK):
                yield bytes(part)
        except FileNotFoundError as error:
            if not _is_missing_object(error):
                raise self._unavailable(error) from None
            raise ContentMissing(f"the object {key} is missing in {self._where}") from None
        except (obstore.exceptions.BaseError, OSError, ValueError) as error:
            raise self._unavailable(error) from None

    def delete(self, key: str) -> None:
        """Delete an object; S3 accepts a key that does not exist."""
        import obstore

        try:
            obstore.delete(self._store, key)
        except FileNotFoundError as error:
            if not _is_missing_object(error):
                raise self._unavailable(error) from None
        except (obstore.exceptions.BaseError, OSError, ValueError) as error:
            raise self._unavailable(error) from None

    def _unavailable(self, error: Exception) -> StorageUnavailable:
        return StorageUnavailable(f"the store of attachments, {self._where}: {_reason(str(error))}")


def _is_missing_object(error: FileNotFoundError) -> bool:
    """Return whether the object is missing, and not its bucket: then the row of an object that exists would be deleted."""
    return "<Code>NoSuchKey</Code>" in str(error)


def _reason(answer: str) -> str:
    """Return the status and the error code in the message of the library, which has pages of context."""
    found = re.search(r"status code: (\d{3}[\w ]*)", answer)
    if found is None:
        return "does not answer"
    code = re.search(r"<Code>(\w+)</Code>", answer)
    return f"{found[1]}{f', {code[1]}' if code else ''}"


@lru_cache(maxsize=4)
def _store(url: str) -> Any:
    """Return the client of a URL. Raises ConfigurationError when the library is missing or refuses the URL."""
    try:
        from obstore.store import S3Store
    except ImportError:
        raise ConfigurationError("AURA_ATTACHMENTS=s3 needs an optional package: pip install 'aura-desk[s3]'") from None
    parts = urlsplit(url)
    bucket, _, prefix = unquote(parts.path.strip("/")).partition("/")
    host = parts.hostname or ""
    options: dict[str, Any] = {"endpoint": f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"}
    if region := parse_qs(parts.query).get("region"):
        options["region"] = region[0]
    if parts.username:
        options |= {"access_key_id": unquote(parts.username), "secret_access_key": unquote(parts.password or "")}
    try:
        return S3Store(
            bucket,
            prefix=prefix or None,
            client_options={"timeout": timedelta(seconds=TIMEOUT), "allow_http": parts.scheme == "http"},
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=TIMEOUT)},
            **options,
        )
    except Exception as error:  # the library's errors have no common base class
        # without the values: the secret is one of them
        raise ConfigurationError(f"AURA_ATTACHMENTS_S3_URL: refused by the library ({type(error).__name__})") from None
