"""Authentication and authorization of requests: API keys, sessions, CSRF protection, scopes."""
