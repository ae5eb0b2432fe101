"""The storage of each kind, and the settings that it needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aura.attachments.storage import make_storage
from aura.attachments.storage.folder import FolderStorage
from aura.errors import ConfigurationError


def test_a_kind_keeps_its_storage_after_the_setting_changed(configure: Callable[..., Any], tmp_path: Path):
    configure(AURA_ATTACHMENTS_FOLDER=str(tmp_path))

    assert isinstance(make_storage("folder"), FolderStorage)


@pytest.mark.parametrize(
    ("kind", "variable"), [("folder", "AURA_ATTACHMENTS_FOLDER"), ("s3", "AURA_ATTACHMENTS_S3_URL")]
)
def test_a_kind_whose_setting_is_missing_names_it(kind: str, variable: str, configure: Callable[..., Any]):
    configure()

    with pytest.raises(ConfigurationError, match=variable):
        make_storage(kind)
