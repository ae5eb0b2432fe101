"""The web process: HTTP API, pages, health checks, metrics."""
