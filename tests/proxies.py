"""Private nginx, HAProxy and Caddy servers on free ports, which run a given configuration or a file of deploy/proxies."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import ClassVar, Self

from tests.install import install
from tests.receiver import PEM
from tests.services import Service, free_port

PROXIES = Path(__file__).resolve().parents[1] / "deploy" / "proxies"
HOST = "desk.example.com"


class ReverseProxy(Service):
    """A proxy in front of the web process at `upstream`; `configuration` is that of `deploy/proxies` by default."""

    file: ClassVar[str]

    def __init__(self, upstream: int, configuration: str = "") -> None:
        super().__init__()
        self.http_port = free_port()
        self.configuration = (configuration or (PROXIES / self.file).read_text()).replace(
            "127.0.0.1:8000", f"127.0.0.1:{upstream}"
        )

    @property
    def program(self) -> str:
        path = os.pathsep.join(["/usr/sbin", os.environ.get("PATH", "")])
        return shutil.which(self.package, path=path) or ""

    def start(self) -> Self:
        install(lambda: [] if self.program else [self.package])
        return super().start()

    def prepare(self) -> None:
        (self.directory / self.file).write_text(self.adapted())

    def adapted(self) -> str:
        """Return the configuration with the ports, paths and the certificate of this server."""
        raise NotImplementedError

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Nginx(ReverseProxy):
    """nginx; a configuration other than the shipped one listens on PORT."""

    package, file = "nginx", "nginx.conf"

    def adapted(self) -> str:
        folder = self.directory
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
        changes = {
            "listen 443": f"listen 127.0.0.1:{self.port}", "listen 80": f"listen 127.0.0.1:{self.http_port}",
            "PORT": str(self.port), "/etc/nginx/desk.example.com.pem": str(PEM),
            "/etc/nginx/desk.example.com.key": str(PEM), "http {\n": f"http {{\n{paths}",
        }  # fmt: skip
        return _replaced(self.configuration, changes)

    def launch(self) -> subprocess.Popen[bytes]:
        options = f"daemon off; pid {self.directory}/pid; error_log stderr;"
        command = [self.program, "-p", str(self.directory), "-c", str(self.directory / self.file)]
        return self.spawn([*command, "-e", "stderr", "-g", options])


class HAProxy(ReverseProxy):
    """HAProxy; a configuration other than the shipped one binds to PORT."""

    package, file = "haproxy", "haproxy.cfg"

    def adapted(self) -> str:
        changes = {
            "bind :443": f"bind 127.0.0.1:{self.port}", "bind :80": f"bind 127.0.0.1:{self.http_port}",
            "PORT": str(self.port), "/etc/haproxy/desk.example.com.pem": str(PEM),
        }  # fmt: skip
        return _replaced(self.configuration, changes)

    def launch(self) -> subprocess.Popen[bytes]:
        return self.spawn([self.program, "-db", "-f", str(self.directory / self.file)])


class Caddy(ReverseProxy):
    """Caddy with a certificate file instead of one that it gets by itself."""

    package, file = "caddy", "Caddyfile"

    def adapted(self) -> str:
        options = (
            f"{{\n\tadmin off\n\tauto_https disable_redirects\n\thttps_port {self.port}\n\thttp_port {self.http_port}\n"
        )
        site = f"\n{HOST} {{\n"
        changes = {"\n{\n": f"\n{options}", site: f"{site}\ttls {PEM} {PEM}\n\tbind 127.0.0.1\n"}
        return _replaced(self.configuration, changes)

    def launch(self) -> subprocess.Popen[bytes]:
        command = [self.program, "run", "--adapter", "caddyfile", "--config", str(self.directory / self.file)]
        return self.spawn(command, environment={"HOME": str(self.directory), "XDG_DATA_HOME": str(self.directory)})


def _replaced(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        text = text.replace(old, new)
    return text
