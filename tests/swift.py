"""A private S3 server on free ports: OpenStack Swift with its S3 API, which checks signatures as AWS does.

Containers are on disk, objects in memory: an object server on disk needs a file system with extended attributes.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import ClassVar

from tests.services import Service, free_port

KEY, SECRET, REGION = "test:tester", "testing", "us-east-1"
_BIN = Path(sys.executable).parent

SWIFT_CONF = """
[swift-hash]
swift_hash_path_prefix = a
swift_hash_path_suffix = b
[storage-policy:0]
name = gold
default = yes
"""
DEFAULT = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
devices = {folder}/devices
mount_check = false
swift_dir = {folder}
user = {user}
"""
SERVER = """
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{app}
"""
PROXY = f"""
[pipeline:main]
pipeline = catch_errors cache s3api tempauth proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
[filter:s3api]
use = egg:swift#s3api
location = {REGION}
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {SECRET} .admin
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
"""


class Swift(Service):
    """The servers for accounts, containers and objects, and the proxy that answers S3 requests."""

    package: ClassVar[str] = ""
    servers: ClassVar[dict[str, str]] = {"account": "account", "container": "container", "object": "mem_object"}

    @staticmethod
    def program() -> str | None:
        return str(_BIN / "swift-proxy-server")  # of the test extra

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def bucket_url(self, bucket: str, secret: str = SECRET) -> str:
        """Return AURA_ATTACHMENTS_S3_URL for a bucket."""
        return f"http://{KEY.replace(':', '%3A')}:{secret}@127.0.0.1:{self.port}/{bucket}/aura?region={REGION}"

    def create_bucket(self, bucket: str) -> str:
        """Create a bucket, and return its URL for Aura."""
        assert _signed_put(f"127.0.0.1:{self.port}", f"/{bucket}") == 200
        return self.bucket_url(bucket)

    def prepare(self) -> None:
        import getpass

        (self.directory / "devices/sda1").mkdir(parents=True)
        (self.directory / "swift.conf").write_text(SWIFT_CONF)
        ports = {name: free_port() for name in self.servers} | {"proxy": self.port}
        for name, port in ports.items():
            head = DEFAULT.format(port=port, folder=self.directory, user=getpass.getuser())
            body = PROXY if name == "proxy" else SERVER.format(name=name, app=self.servers[name])
            (self.directory / f"{name}.conf").write_text(head + body)
        for name in self.servers:
            ring = str(self.directory / f"{name}.builder")
            for arguments in (
                ["create", "4", "1", "0"],
                ["add", f"r1z1-127.0.0.1:{ports[name]}/sda1", "1"],
                ["rebalance"],
            ):
                command = [str(_BIN / "swift-ring-builder"), ring, *arguments]
                subprocess.run(command, check=True, capture_output=True, cwd=self.directory)

    def launch(self) -> subprocess.Popen[bytes]:
        for name in self.servers:
            self.spawn([str(_BIN / f"swift-{name}-server"), f"{name}.conf"])
        return self.spawn([str(_BIN / "swift-proxy-server"), "proxy.conf"])

    def answers(self) -> bool:
        try:
            return _signed_put(f"127.0.0.1:{self.port}", "/ready") == 200
        except urllib.error.HTTPError as error:
            return error.code == 409  # after a restart the bucket is there already
        except OSError:
            return False


def _signed_put(host: str, path: str) -> int:
    """Send a signed PUT without a body (AWS Signature Version 4), which creates a bucket. Returns the status."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    empty = hashlib.sha256(b"").hexdigest()
    headers = {"host": host, "x-amz-content-sha256": empty, "x-amz-date": stamp}
    names = ";".join(headers)
    lines = [*(f"{name}:{value}" for name, value in headers.items()), ""]
    request = "\n".join(["PUT", path, "", *lines, names, empty])
    scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    value = f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
    sent = urllib.request.Request(f"http://{host}{path}", method="PUT", headers={**headers, "Authorization": value})
    with urllib.request.urlopen(sent, timeout=30) as answer:
        return int(answer.status)
