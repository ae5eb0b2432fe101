"""Supply chain: the bill of materials, the digest of the base image, and what an audit says without its service."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import aura
from tests import supply
from tests.conftest import ROOT

DIGEST = "sha256:" + hashlib.sha256(b"image").hexdigest()


def test_the_bill_of_materials_is_valid_and_complete(tmp_path: Path):
    text = supply.sbom(tmp_path / "sbom.json").read_text()

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace('"library"', '"lib"')) is not None
    content = json.loads(text)
    assert content["metadata"]["component"]["version"] == aura.VERSION
    listed = {(each["name"], each["version"]) for each in content["components"]}
    locked = re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert set(locked) <= listed and len(locked) > 40
    assert {("htmx.org", "4.0.1"), ("uplot", "1.6.32")} <= listed
    # the same lock gives the same bytes, without the addresses of a local index
    assert supply.sbom(tmp_path / "again.json").read_text() == text
    assert not [each for each in content["components"] if "externalReferences" in each]
    assert "file:" not in text


def test_the_versions_of_the_javascript_files_are_those_of_the_files():
    for name, (_, version, _) in supply.VENDORED.items():
        assert version in (ROOT / "aura/web/static" / name).read_text(), name
    others = {path.name for path in (ROOT / "aura/web/static").glob("*.min.js")}
    assert others == set(supply.VENDORED)


def test_a_tag_is_no_pinned_image():
    text = (ROOT / "Dockerfile").read_text()
    pinned = supply.pin(text, DIGEST)
    assert supply.is_pinned(pinned)
    assert supply.is_pinned(supply.pin(pinned, DIGEST)) and pinned.count("@sha256:") == text.count("@sha256:...") + 1
    assert not supply.is_pinned(re.sub(r"@sha256:[0-9a-f]{64}", "", pinned))
    assert not supply.is_pinned(supply.pin(text, "sha256:abc"))


@pytest.mark.skipif("AURA_RELEASE" not in os.environ, reason="AURA_RELEASE=1 demands what a release needs")
def test_the_base_image_of_a_release_has_a_digest():
    assert supply.release() == 0


def test_the_release_steps_write_checksums_that_verify_and_a_signature(tmp_path: Path):
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    [checksums] = [dedent(f"    {block}") for block in blocks if "sha256sum" in block]
    [signature] = [dedent(f"    {block}") for block in blocks if "--detach-sign" in block]
    for name in ("build/sbom/aura-1.cdx.json", "dist/aura-1.whl", "dist/aura-1.tar.gz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    environment = os.environ | {"GNUPGHOME": str(home)}

    def run(script: str) -> int:
        return subprocess.run(["bash", "-euc", script], cwd=tmp_path, env=environment, capture_output=True).returncode

    assert run("make() { :; }\n" + checksums) == 0
    listed = [line.split()[1] for line in (tmp_path / "dist/SHA256SUMS").read_text().splitlines()]
    assert sorted(listed) == ["aura-1.cdx.json", "aura-1.tar.gz", "aura-1.whl"]
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not installed: the signature was not made")
    assert run("gpg --batch --passphrase '' --quick-generate-key RELEASE_KEY") == 0
    assert run(signature) == 0
    verify = "cd dist && gpg --verify SHA256SUMS.asc SHA256SUMS && sha256sum --check --ignore-missing SHA256SUMS"
    assert run(verify) == 0
    (tmp_path / "dist/aura-1.whl").write_text("other")
    assert run(verify) != 0
    run("gpgconf --kill all")


def test_an_audit_without_an_answer_is_no_clean_audit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(supply, "LOCKS", [ROOT / "requirements.txt"])
    monkeypatch.setattr(supply, "audit_npm", lambda: ([], []))
    for answer, code in (
        (([], []), 0),
        (([], ["pika"]), supply.UNREACHABLE),
        ((["pika 1: CVE-1"], ["redis"]), supply.FOUND),
    ):
        monkeypatch.setattr(supply, "audit_lock", lambda _lock, answer=answer: answer)
        assert supply.audit() == code
        out, err = capsys.readouterr()
        assert ("no known vulnerability" in out) is (code == 0)
        assert ("not audited" in err) is bool(answer[1])
