# One image for web, worker, scheduler and migration; the command selects one. Packages are verified by their hashes.
# `make pin-image` adds the digest (3.11.9-slim-bookworm@sha256:...), which `make release-check` demands of a release.
ARG PYTHON_TAG=3.11.9-slim-bookworm

FROM python:${PYTHON_TAG} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/aura
WORKDIR /source
# requirements-oauth.txt adds the extra `oauth`
ARG REQUIREMENTS=requirements.txt
COPY requirements.txt requirements-oauth.txt ./
RUN /opt/aura/bin/pip install --require-hashes -r "$REQUIREMENTS"
COPY . .
RUN /opt/aura/bin/pip install --no-index --no-deps --no-build-isolation . \
    && /opt/aura/bin/pip uninstall --yes pip

FROM python:${PYTHON_TAG}
RUN groupadd --gid 10001 aura && useradd --uid 10001 --gid aura --no-create-home --shell /usr/sbin/nologin aura
COPY --from=build /opt/aura /opt/aura
ENV PATH=/opt/aura/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LOG_FORMAT=json PORT=8000
WORKDIR /tmp
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/health/live', timeout=3)"]
CMD ["aura", "web", "--host", "0.0.0.0"]
