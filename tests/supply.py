"""`python -m tests.supply audit|sbom|image|release`: vulnerabilities, bill of materials, and digest of the base image.

audit    pip-audit on every lock file, npm audit on the JavaScript files of the dashboard. Exit code 0: no advisory;
         1: advisories; 3: an advisory service did not answer for everything, so the result says nothing about the rest.
sbom     writes build/sbom/aura-VERSION.cdx.json: CycloneDX 1.6 of the runtime lock and the JavaScript files.
image    writes the digest of the base image into the Dockerfile; needs docker and the registry. Exit code 3: not reachable.
release  exit code 1 if the base image has no digest.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import aura
from tests.conftest import ROOT

LOCKS = sorted(ROOT.glob("requirements*.txt"))
SBOM = ROOT / f"build/sbom/aura-{aura.VERSION}.cdx.json"
#: The files in aura/web/static that are of others: package of npm, version and licence.
VENDORED = {"htmx.min.js": ("htmx.org", "4.0.1", "0BSD"), "uplot.min.js": ("uplot", "1.6.32", "MIT")}
FOUND, UNREACHABLE = 1, 3
PINNED = re.compile(
    r"^FROM python:\$\{PYTHON_TAG\}@sha256:[0-9a-f]{64}(?: |$)|^ARG PYTHON_TAG=\S+@sha256:[0-9a-f]{64}$", re.MULTILINE
)


def audit() -> int:
    """Audit every lock file and the JavaScript files; print the advisories and what could not be audited."""
    codes = [_report(lock.name, *audit_lock(lock)) for lock in LOCKS]
    codes.append(_report("JavaScript", *audit_npm()))
    if FOUND in codes:
        return FOUND
    if UNREACHABLE in codes:
        print(
            "audit: an advisory service was not reachable; NOTHING is known about the packages named above",
            file=sys.stderr,
        )
        return UNREACHABLE
    print("audit: no known vulnerability")
    return 0


def audit_lock(lock: Path) -> tuple[list[str], list[str]]:
    """Return the advisories of the packages of a lock file, and the packages without an answer."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "-r", str(lock)]
    done = subprocess.run(
        [*command, "--progress-spinner", "off", "-f", "json"], capture_output=True, text=True, check=False
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, LookupError):
        return [], [f"everything: {(done.stderr.strip().splitlines() or ['no answer'])[-1][:200]}"]
    advisories = [
        f"{each['name']} {each['version']}: {bug['id']}" for each in packages for bug in each.get("vulns", ())
    ]
    return advisories, [each["name"] for each in packages if "skip_reason" in each]


def audit_npm() -> tuple[list[str], list[str]]:
    """Return the advisories of the JavaScript files, and those without an answer."""
    wanted = {package: version for package, version, _ in VENDORED.values()}
    with tempfile.TemporaryDirectory() as folder:
        content = {"name": "aura", "version": "0.0.0", "private": True, "dependencies": wanted}
        (Path(folder) / "package.json").write_text(json.dumps(content))
        try:
            for command in (["install", "--package-lock-only", "--ignore-scripts"], ["audit", "--json"]):
                done = subprocess.run(["npm", *command], cwd=folder, capture_output=True, text=True, check=False)
            found = json.loads(done.stdout)["vulnerabilities"]
        except (OSError, ValueError, LookupError):
            return [], sorted(wanted)
    return [f"{name}: {each['severity']}" for name, each in found.items()], []


def _report(name: str, advisories: list[str], missing: list[str]) -> int:
    for advisory in advisories:
        print(f"audit: {name}: {advisory}")
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        print(f"audit: {name}: not audited: {shown}", file=sys.stderr)
    return FOUND if advisories else UNREACHABLE if missing else 0


def sbom(target: Path = SBOM) -> Path:
    """Write the software bill of materials and return its path."""
    command = [
        sys.executable,
        "-m",
        "cyclonedx_py",
        "requirements",
        "--sv",
        "1.6",
        "--of",
        "JSON",
        "--output-reproducible",
    ]
    done = subprocess.run([*command, str(ROOT / "requirements.txt")], capture_output=True, text=True, check=True)
    content: dict[str, Any] = json.loads(done.stdout)
    content["metadata"]["component"] = {
        "type": "application",
        "bom-ref": "aura-desk",
        "name": "aura-desk",
        "version": aura.VERSION,
        "licenses": [{"license": {"id": "MIT"}}],
        "purl": f"pkg:pypi/aura-desk@{aura.VERSION}",
    }
    for component in content["components"]:
        # addresses of the index from which the lock was made are nobody's business
        component.pop("externalReferences", None)
    content["components"] += [
        {
            "type": "library",
            "bom-ref": package,
            "name": package,
            "version": version,
            "licenses": [{"license": {"id": licence}}],
            "purl": f"pkg:npm/{package}@{version}",
        }
        for package, version, licence in VENDORED.values()
    ]
    refs = sorted(each["bom-ref"] for each in content["components"])
    content["dependencies"] = [{"ref": "aura-desk", "dependsOn": refs}, *({"ref": ref} for ref in refs)]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    return target


def is_pinned(dockerfile: str) -> bool:
    """Return whether the base image is named by its digest."""
    return PINNED.search(dockerfile) is not None


def pin(dockerfile: str, digest: str) -> str:
    """Return the Dockerfile with the digest of the base image."""
    return re.sub(
        r"^(ARG PYTHON_TAG=[^\s@]+)(?:@sha256:\S+)?$", rf"\1@{digest}", dockerfile, count=1, flags=re.MULTILINE
    )


def image() -> int:
    """Ask the registry for the digest of the base image and write it into the Dockerfile."""
    path = ROOT / "Dockerfile"
    text = path.read_text()
    tag = re.search(r"^ARG PYTHON_TAG=([^\s@]+)", text, re.MULTILINE)
    assert tag
    command = ["docker", "buildx", "imagetools", "inspect", f"python:{tag[1]}", "--format", "{{.Manifest.Digest}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        digest = done.stdout.strip()
    except OSError:
        digest = ""
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        print("image: docker or its registry is not reachable, the Dockerfile is unchanged", file=sys.stderr)
        return UNREACHABLE
    path.write_text(pin(text, digest))
    print(f"image: python:{tag[1]}@{digest}")
    return 0


def release() -> int:
    """Check what a release needs: a pinned base image."""
    if is_pinned((ROOT / "Dockerfile").read_text()):
        return 0
    print(
        "release: the base image has no digest; run `make pin-image` where docker reaches its registry", file=sys.stderr
    )
    return 1


def main(arguments: list[str]) -> int:
    """Run one of the commands and return its exit code."""
    match arguments:
        case ["audit"]:
            return audit()
        case ["sbom"]:
            print(f"sbom: {sbom().relative_to(ROOT)}")
            return 0
        case ["image"]:
            return image()
        case ["release"]:
            return release()
    print((__doc__ or "").strip(), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
