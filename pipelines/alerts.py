"""Alerts without Prometheus: the leading scheduler evaluates the rules and notifies the operators of each start and end.

Messages go by e-mail and webhook, directly: the jobs of notifications may be what fails. An alert counts as notified when one
channel accepted it; otherwise it is sent again at the next round, with the same id. Without AURA_ALERT_EMAILS and
AURA_ALERT_WEBHOOK_URL it is logged alone.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from aura.errors import AuraError
from aura.notifications.channels.base import OutboundMessage
from aura.notifications.channels.registry import make_channel
from aura.settings import Settings, first_line, get_settings
from db import alerts, transaction
from db.alerts import AlertState
from pipelines.alert_rules import DATABASE_DOWN, DATABASE_DOWN_AFTER, SUMMARIES, evaluate

logger = structlog.get_logger("aura.alerts")

#: Seconds between two rounds.
EVERY = 30.0
_NAMESPACE = uuid.UUID("6d0ee2f6-5d2f-4f6a-9c2c-2b1f3f5f7a10")


class AlertWatcher:
    """Evaluates the rules in a thread while `leads` returns True."""

    def __init__(self, leads: Callable[[], bool]) -> None:
        self._leads = leads
        self._stop = threading.Event()
        #: When the database stopped to answer, by the monotonic clock, and the alert that was sent about it.
        self._away_since: float | None = None
        self._away: AlertState | None = None

    def start(self) -> None:
        """Check every EVERY seconds, in a thread."""
        threading.Thread(target=self._run, name="alerts", daemon=True).start()

    def stop(self) -> None:
        """End the thread after its round."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            try:
                self.check()
            except Exception as error:
                logger.error("alerts are not evaluated", exc_info=error)

    def check(self) -> None:
        """Evaluate the rules, and send what the operators do not know."""
        if not self._leads():
            return
        try:
            with transaction() as session:
                alerts.record(session, evaluate(session))
                unknown = alerts.to_notify(session)
        except SQLAlchemyError as error:
            self._database_is_away(first_line(error))
            return
        self._database_is_back()
        for alert in unknown:
            if notify(alert):
                with transaction() as session:
                    alerts.mark_notified(session, alert)

    def _database_is_away(self, reason: str) -> None:
        self._away_since = time.monotonic() if self._away_since is None else self._away_since
        if self._away is None and time.monotonic() - self._away_since >= DATABASE_DOWN_AFTER:
            alert = AlertState(DATABASE_DOWN, reason, datetime.now(UTC), None)
            if notify(alert):
                self._away = alert

    def _database_is_back(self) -> None:
        self._away_since = None
        if self._away is not None and notify(self._away._replace(resolved_at=datetime.now(UTC))):
            self._away = None


def notify(alert: AlertState) -> bool:
    """Send one alert to the operators, and log it. Returns False when every channel failed."""
    settings = get_settings()
    state = "firing" if alert.resolved_at is None else "resolved"
    log = logger.warning if alert.resolved_at is None else logger.info
    log(f"alert {state}", alert=alert.name, detail=alert.detail)
    results = [_send(channel, message) for channel, message in _messages(alert, state, settings)]
    return any(results) or not results


def _messages(alert: AlertState, state: str, settings: Settings) -> list[tuple[str, OutboundMessage]]:
    summary = SUMMARIES.get(alert.name, alert.name)
    identity = uuid.uuid5(_NAMESPACE, f"{alert.name} {alert.fired_at.isoformat()} {state}")
    lines = [f"{summary}.", "", alert.detail, f"Since: {alert.fired_at:%Y-%m-%d %H:%M} UTC"]
    if alert.resolved_at is not None:
        lines.append(f"Until: {alert.resolved_at:%Y-%m-%d %H:%M} UTC")
    lines += ["", f"`aura doctor` and {settings.base_url} show the present state; docs/how-to/runbook.md what to do."]
    data = {"alert": alert.name, "state": state, "summary": summary, "detail": alert.detail}
    data |= {"since": alert.fired_at.isoformat()}
    data |= {"until": alert.resolved_at.isoformat()} if alert.resolved_at else {}

    def message(number: int, recipient: str, url: str = "") -> OutboundMessage:
        return OutboundMessage(
            id=uuid.uuid5(identity, str(number)).hex,
            ticket_id=0,
            recipient=recipient,
            subject=f"[Aura] {alert.name} {state}",
            text="\n".join(lines),
            event=f"alert.{state}",
            data=data,
            created_at=alert.resolved_at or alert.fired_at,
            url=url,
        )

    found = [("email", message(number, address)) for number, address in enumerate(settings.alert_emails)]
    if settings.alert_webhook_url is not None:
        found.append(("webhook", message(-1, "alerts", settings.alert_webhook_url.get_secret_value())))
    return found


def _send(channel: str, message: OutboundMessage) -> bool:
    try:
        make_channel(channel, get_settings()).send(message)
    except (AuraError, OSError) as error:
        logger.error("alert not sent", channel=channel, error=first_line(error))
        return False
    return True
