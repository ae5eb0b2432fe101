"""Protections of Aura, each with the change that switches it off and the tests that must go red then.

The safeguards of the job core have mutants of their own, in tests/chaos/mutants.py: they take running processes to see.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """A text that stands once in a file, what stands there instead when the protection is off, and who sees it."""

    name: str
    file: str
    on: str
    off: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


def _mutant(name: str, file: str, on: str, off: str, *tests: str) -> Mutant:
    return Mutant(name, file, on, off, tests)


MUTANTS = (
    # -- how jobs become hints
    _mutant(
        "a busy broker gets a hint for each job",
        "aura/jobs/relay_plan.py",
        "return 1 < own.batch <= own.inside and",
        "return False and",
        "tests/unit/jobs/test_relay_plan.py",
    ),
    _mutant(
        "a job waits for others without end",
        "aura/jobs/relay_plan.py",
        "not (bucket.full or bucket.waited > GATHER)",
        "not bucket.full",
        "tests/unit/jobs/test_relay_plan.py",
    ),
    _mutant(
        "a limit counts one actor of its queue",
        "aura/jobs/relay_plan.py",
        "if each.queue == own.queue]",
        "if name == actor]",
        "tests/unit/jobs/test_relay_plan.py",
    ),
    _mutant(
        "an attempt is interrupted when it is over",
        "aura/jobs/attempt.py",
        "if thread is None or (only_in_function and not self.in_function):",
        "if thread is None:",
        "tests/unit/jobs/middleware/test_time_limit.py",
    ),
    _mutant(
        "odd headers stop a consumer",
        "aura/jobs/rabbitmq/connection.py",
        "if self._frame_buffer[0] != pika.spec.FRAME_HEADER:",
        "if True:",
        "tests/unit/jobs/rabbitmq/test_connection.py",
    ),
    # -- outbound data and the answers to it
    _mutant(
        "nothing is masked before it leaves",
        "aura/ai/engines/remote.py",
        'if self._settings.ai_mask == "off":',
        "if True:",
        "tests/unit/ai/engines/test_remote.py",
    ),
    _mutant(
        "a model may say any priority",
        "aura/ai/engines/guardrails.py",
        "allowed = min(max(rank, local_rank - 1), local_rank + 1)",
        "allowed = rank",
        "tests/unit/ai/engines/test_remote.py",
    ),
    _mutant(
        "a model's words are shown as they are",
        "aura/ai/engines/remote.py",
        "reason = safe_text(verdict.reason, REASON)",
        "reason = verdict.reason",
        "tests/unit/ai/engines/test_remote.py",
    ),
    _mutant(
        "a disagreement needs no review",
        "aura/ai/engines/remote.py",
        "or limited or differs",
        "or limited",
        "tests/unit/ai/engines/test_remote.py",
    ),
    _mutant(
        "a budget is spent before it is reserved",
        "aura/ai/engines/budget.py",
        "full = self._shared_state.reserve(limits, amount)",
        "full = None",
        "tests/unit/ai/engines/test_remote.py",
    ),
    _mutant(
        "Redis that is away lets every call through",
        "aura/ai/engines/remote.py",
        "except SharedStateUnavailable as error:",
        "except ZeroDivisionError as error:",
        "tests/unit/ai/engines/test_remote.py",
    ),
    _mutant(
        "the breaker never opens",
        "aura/ai/engines/circuit_breaker.py",
        "fail_max=FAILURES",
        "fail_max=10**9",
        "tests/unit/ai/engines/test_remote.py",
    ),
    _mutant(
        "a refusal opens the breaker",
        "aura/ai/engines/circuit_breaker.py",
        "exclude=[_not_a_failure]",
        "exclude=[]",
        "tests/unit/ai/engines/test_remote.py",
    ),
    _mutant(
        "a pause holds for nobody",
        "aura/ai/engines/remote.py",
        "if pause is not None:",
        "if False:",
        "tests/unit/ai/engines/test_remote.py",
    ),
    # -- recipients, and how often they are notified
    _mutant(
        "a preference's quiet hours are never now",
        "aura/notifications/quiet_hours.py",
        "if not preference.quiet_from:",
        "if True:",
        "tests/unit/notifications/test_quiet_hours.py",
    ),
    _mutant(
        "a mail that may have left is sent again",
        "actors/deliver.py",
        "if at_most_once and error.in_doubt:",
        "if False:",
        "tests/unit/actors/test_deliver.py",
    ),
    _mutant(
        "two workers send one notification",
        "actors/deliver.py",
        "if at_most_once and not _mark_sending(notification.id):",
        "if False:",
        "tests/unit/actors/test_deliver.py",
    ),
    _mutant(
        "a hint is worked on for as long as it takes",
        "aura/jobs/one_by_one.py",
        "LONGEST = 0.2",
        "LONGEST = 1e9",
        "tests/unit/jobs/test_one_by_one.py",
    ),
    _mutant(
        "what is left of a hint must wait to be missed",
        "aura/jobs/one_by_one.py",
        "            if left:\n                with",
        "            if False:\n                with",
        "tests/unit/jobs/test_one_by_one.py",
    ),
    _mutant(
        "an address of the inner network is taken",
        "aura/notifications/safe_http.py",
        'raise ForbiddenAddress(f"{address} is not a public address")',
        "return",
        "tests/unit/notifications/test_safe_http.py",
    ),
    _mutant(
        "the host is looked up again after the check",
        "aura/notifications/safe_http.py",
        "for address in self._checked[:ADDRESSES_LIMIT]:",
        "for address in [self.host]:",
        "tests/unit/notifications/test_safe_http.py",
    ),
    _mutant(
        "a certificate may be anybody's",
        "aura/notifications/safe_http.py",
        "self._tls.wrap_socket(plain, server_hostname=self.host) if self._tls",
        "ssl._create_unverified_context().wrap_socket(plain) if self._tls",
        "tests/unit/notifications/test_safe_http.py",
    ),
    _mutant(
        "an old message is good for ever",
        "aura/notifications/signatures.py",
        "TOLERANCE = 300.0",
        "TOLERANCE = 1e12",
        "tests/unit/notifications/test_signatures.py",
    ),
    _mutant(
        "any signature fits",
        "aura/notifications/signatures.py",
        "if True not in matches:",
        "if False:",
        "tests/unit/notifications/test_signatures.py",
    ),
    _mutant(
        "several addresses are one",
        "aura/notifications/sanitize.py",
        "match = _ADDRESS.fullmatch(address)",
        "match = _ADDRESS.match(address)",
        "tests/unit/notifications/test_recipients.py",
        "tests/unit/notifications/test_render.py",
        "tests/unit/notifications/channels/test_email.py",
    ),
    _mutant(
        "our own mail is answered",
        "aura/mail/auto_replies.py",
        'if mail.header("x-aura") is not None or mail.sender == own_address.lower():',
        "if False:",
        "tests/unit/mail/test_ingest.py",
    ),
    # -- the scheduler
    _mutant(
        "a run starts on every scheduler",
        "db/schedule_runs.py",
        "return session.scalar(statement) is not None",
        "return session.scalar(statement) is not None or True",
        "tests/unit/pipelines/test_scheduler.py",
    ),
    _mutant(
        "a process that lost the lease goes on writing",
        "db/schedule_runs.py",
        "if not leader_election.renew(session, name, holder, term, seconds):",
        "if False:",
        "tests/unit/pipelines/test_scheduler.py",
    ),
    _mutant(
        "missed runs are not stored",
        "pipelines/scheduler.py",
        "missed.append(due)",
        "pass",
        "tests/unit/pipelines/test_scheduler.py",
    ),
    # -- who may ask
    _mutant(
        "any key has any scope",
        "aura/web/auth/requirements.py",
        "if self.scope not in who.scopes:",
        "if False:",
        "tests/unit/web/auth/test_requirements.py",
    ),
    _mutant(
        "another site sends a form",
        "aura/web/auth/identity.py",
        "await require_token(request, session.csrf)",
        "pass",
        "tests/unit/web/auth/test_csrf.py",
    ),
    _mutant(
        "failed logins have no limit",
        "db/users.py",
        "if (session.scalar(failed) or 0) >= limit:",
        "if False:",
        "tests/unit/web/auth/test_sessions.py",
    ),
    _mutant(
        "a revoked key is valid",
        "db/api_keys.py",
        "and_(ApiKey.revoked_at.is_(None), or_(",
        "and_(or_(",
        "tests/unit/web/auth/test_requirements.py",
    ),
    _mutant(
        "a route needs nothing",
        "aura/web/auth/requirements.py",
        "if scope is None and path not in PUBLIC:",
        "if False:",
        "tests/unit/web/auth/test_requirements.py",
    ),
    # -- what comes in
    _mutant(
        "load shedding is off",
        "aura/web/load_shedding.py",
        'refused = creates and scope["app"].state.ticket_writer.full',
        "refused = False",
        "tests/unit/web/test_load_shedding.py",
    ),
    _mutant(
        "the wait of the oldest request has no limit",
        "aura/web/group_commit.py",
        "time.monotonic() - oldest > MAX_WAIT",
        "False",
        "tests/unit/web/test_group_commit.py",
    ),
    _mutant(
        "a body is read to its end",
        "aura/web/body_limit.py",
        "if size > limit:",
        "if False:",
        "tests/unit/web/test_body_limit.py",
    ),
    _mutant(
        "a body may take for ever",
        "aura/web/body_limit.py",
        "async with asyncio.timeout(BODY_SECONDS):",
        "async with asyncio.timeout(None):",
        "tests/unit/web/test_body_limit.py",
    ),
    _mutant(
        "a key answers for another body",
        "aura/web/group_commit.py",
        "same = earlier.fingerprint == request.use.fingerprint",
        "same = True",
        "tests/unit/web/api/test_tickets.py",
    ),
    _mutant(
        "a stream that is not read has no limit",
        "aura/web/api/events.py",
        "not self.stopping and not unread.full()",
        "not self.stopping",
        "tests/unit/web/api/test_events.py",
    ),
    _mutant(
        "a process has streams without a limit",
        "aura/web/api/events.py",
        "return len(self._streams) >= MAX_STREAMS",
        "return False",
        "tests/unit/web/api/test_events.py",
    ),
    _mutant(
        "a cell of the export is a formula",
        "aura/web/pages/export.py",
        'return f"\'{text}" if text.startswith(FORMULA)',
        "return text if text.startswith(FORMULA)",
        "tests/unit/web/pages/test_export.py",
    ),
    # -- import of files
    _mutant(
        "an old ticket is triaged and announced",
        "aura/desk/importing/importer.py",
        "triage.send_many(sorted(set(new.values()) - set(finished)))",
        "triage.send_many(sorted(new.values()))",
        "tests/unit/desk/importing/test_importer.py",
    ),
    _mutant(
        "a requester of an imported ticket gets a mail",
        "aura/notifications/decide.py",
        "return [each for each in notifications if each.channel == IN_APP or not ticket.silent]",
        "return notifications",
        "tests/unit/desk/importing/test_importer.py",
    ),
    _mutant(
        "number 1 of two help desks is one ticket",
        "db/imported_tickets.py",
        'return f"{SOURCE}:{system}" if system else SOURCE',
        "return SOURCE",
        "tests/unit/desk/importing/test_importer.py",
    ),
    _mutant(
        "a password of an imported ticket is in the index",
        "aura/desk/importing/importer.py",
        "lambda text: mask(text).text",
        "lambda text: text",
        "tests/unit/desk/importing/test_importer.py",
    ),
    _mutant(
        "a compressed file expands without end",
        "aura/desk/importing/files.py",
        "if self._most is not None and self._read > self._most:",
        "if False:",
        "tests/unit/desk/importing/test_files.py",
    ),
    _mutant(
        "an endless line fills the memory",
        "aura/desk/importing/lines.py",
        "if kept is not None or len(rest) > limit:",
        "if kept is not None:",
        "tests/unit/desk/importing/test_lines.py",
    ),
    _mutant(
        "a huge element of a JSON file fills the memory",
        "aura/desk/importing/json_scanner.py",
        "if self._size > ELEMENT_LIMIT:",
        "if False:",
        "tests/unit/desk/importing/test_json_rows.py",
    ),
    _mutant(
        "a quote without an end swallows the following rows",
        "aura/desk/importing/csv_rows.py",
        "if not source.return_lines(others):",
        "if False:",
        "tests/unit/desk/importing/test_csv_rows.py",
    ),
    _mutant(
        "day and month of a date are guessed",
        "aura/desk/importing/dates.py",
        "if self.ambiguous:",
        "if False:",
        "tests/unit/desk/importing/test_dates.py",
    ),
    _mutant(
        "rows without an id are the same by their title",
        "aura/desk/importing/identity.py",
        "json.dumps(row, sort_keys=True, default=str)",
        'str(row.get("Title"))',
        "tests/unit/desk/importing/test_importer.py",
    ),
    # -- retention and reports
    _mutant(
        "a message that died is replayed for ever",
        "db/dead_letters.py",
        "if letter.replays >= limit and not force:",
        "if False:",
        "tests/unit/db/test_dead_letters.py",
    ),
    _mutant(
        "`--since` chooses nothing",
        "db/dead_letters.py",
        "if since is not None:",
        "if False:",
        "tests/unit/db/test_dead_letters.py",
        "tests/unit/cli/test_cli.py",
    ),
    _mutant(
        "a report to Sentry holds what a ticket says",
        "aura/jobs/sentry.py",
        "include_local_variables=False",
        "include_local_variables=True",
        "tests/unit/jobs/test_sentry.py",
    ),
    _mutant(
        "a ticket's trace ends with its request",
        "aura/web/group_commit.py",
        "field(default_factory=traces.current.get)",
        "None",
        "tests/unit/jobs/test_tracing.py",
    ),
)
