"""OAuth 2.0 access tokens for mail servers: one cached token for each provider and mailbox.

    token = token_source("microsoft", "desk@example.com", get_settings()).token()

source.py     caches a token and renews it once for all threads
grants.py     chooses how a token is obtained from the settings
microsoft.py  Microsoft Entra ID, by msal; google.py, Google, by google-auth; custom.py, any other server, by Authlib
logins.py     the refresh tokens of `aura mail login`, encrypted in the database
sasl.py       XOAUTH2 and OAUTHBEARER
http.py       the HTTP session of all providers

The libraries are optional (`pip install 'aura-desk[oauth]'`), and are imported when the first token is needed.
"""

from aura.oauth.errors import LoginRequired, TokenRefused, TokenServerUnavailable
from aura.oauth.grants import token_source
from aura.oauth.source import Token, TokenSource

__all__ = ["LoginRequired", "Token", "TokenRefused", "TokenServerUnavailable", "TokenSource", "token_source"]
