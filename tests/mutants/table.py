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
        "actors/relay.py",
        "return 1 < size <= inside and",
        "return False and",
        "tests/unit/test_relay.py",
    ),
    _mutant(
        "a job waits for others without end",
        "db/hints.py",
        "row.enough or (row.waited or 0.0) > seconds",
        "row.enough",
        "tests/unit/test_relay.py",
    ),
    # -- what leaves the house and what may come back
    _mutant(
        "nothing is masked before it leaves",
        "ai/guarded.py",
        'if self._settings.ai_mask == "off":',
        "if True:",
        "tests/unit/test_ai_guarded.py",
    ),
    _mutant(
        "a model may say any priority",
        "ai/bounds.py",
        "allowed = min(max(wanted, middle - 1), middle + 1)",
        "allowed = wanted",
        "tests/unit/test_ai_guarded.py",
    ),
    _mutant(
        "a model's words are shown as they are",
        "ai/guarded.py",
        "reason=safe_words(verdict.reason, REASON)",
        "reason=verdict.reason",
        "tests/unit/test_ai_guarded.py",
    ),
    _mutant(
        "a disagreement needs no review",
        "ai/guarded.py",
        "or cut or differs",
        "or cut",
        "tests/unit/test_ai_guarded.py",
    ),
    _mutant(
        "a budget is spent before it is reserved",
        "ai/budget.py",
        "full = self._store.reserve(limits, amount)",
        "full = None",
        "tests/unit/test_ai_guarded.py",
    ),
    _mutant(
        "Redis that is away lets every call through",
        "ai/guarded.py",
        "except StoreAway as away:",
        "except ZeroDivisionError as away:",
        "tests/unit/test_ai_guarded.py",
    ),
    _mutant(
        "the breaker never opens",
        "ai/breaker.py",
        "fail_max=FAILURES",
        "fail_max=10**9",
        "tests/unit/test_ai_guarded.py",
    ),
    _mutant(
        "a refusal opens the breaker",
        "ai/breaker.py",
        "exclude=[_no_fault_of_the_provider]",
        "exclude=[]",
        "tests/unit/test_ai_guarded.py",
    ),
    _mutant(
        "a pause holds for nobody",
        "ai/guarded.py",
        "if paused is not None:",
        "if False:",
        "tests/unit/test_ai_guarded.py",
    ),
    # -- who is told, and how often
    _mutant(
        "a preference's quiet hours are never now",
        "notices/quiet.py",
        "if not preference.quiet_from:",
        "if True:",
        "tests/unit/test_notices_quiet.py",
    ),
    _mutant(
        "a mail that may have left is sent again",
        "actors/deliveries.py",
        "if hold and error.unsure:",
        "if False:",
        "tests/unit/test_deliveries.py",
    ),
    _mutant(
        "two workers send one notification",
        "actors/deliveries.py",
        "if hold and not _mark(key):",
        "if False:",
        "tests/unit/test_deliveries.py",
    ),
    _mutant(
        "a hint is worked on for as long as it takes",
        "actors/one_by_one.py",
        "LONGEST = 0.2",
        "LONGEST = 1e9",
        "tests/unit/test_one_by_one.py",
    ),
    _mutant(
        "what is left of a hint must wait to be missed",
        "actors/one_by_one.py",
        "            if left:\n",
        "            if False:\n",
        "tests/unit/test_one_by_one.py",
    ),
    _mutant(
        "an address of the inner network is taken",
        "notices/outward.py",
        'raise NotAllowed(f"{address} is no public address")',
        "return",
        "tests/unit/test_notices_outward.py",
    ),
    _mutant(
        "the host is looked up again after the check",
        "notices/outward.py",
        "for address in self._checked[:MOST_ADDRESSES]:",
        "for address in [self.host]:",
        "tests/unit/test_notices_outward.py",
    ),
    _mutant(
        "a certificate may be anybody's",
        "notices/outward.py",
        "self._tls.wrap_socket(plain, server_hostname=self.host) if self._tls",
        "ssl._create_unverified_context().wrap_socket(plain) if self._tls",
        "tests/unit/test_notices_outward.py",
    ),
    _mutant(
        "an old message is good for ever",
        "notices/signatures.py",
        "TOLERANCE = 300.0",
        "TOLERANCE = 1e12",
        "tests/unit/test_notices_signatures.py",
    ),
    _mutant(
        "any signature fits",
        "notices/signatures.py",
        "if True not in fits:",
        "if False:",
        "tests/unit/test_notices_signatures.py",
    ),
    _mutant(
        "several addresses are one",
        "notices/safe.py",
        "match = _ADDRESS.fullmatch(address)",
        "match = _ADDRESS.match(address)",
        "tests/unit/test_notices_recipients.py",
        "tests/unit/test_notices_wording.py",
        "tests/unit/test_notices_channels.py",
    ),
    _mutant(
        "our own mail is answered",
        "pipelines/mail/automatic.py",
        'if letter.header("x-aura") is not None or letter.sender == own_address.lower():',
        "if False:",
        "tests/unit/test_mail_taking.py",
    ),
    # -- the clock
    _mutant(
        "a slot runs on every clock",
        "db/schedule.py",
        "return session.scalar(statement) is not None",
        "return session.scalar(statement) is not None or True",
        "tests/unit/test_clock.py",
    ),
    _mutant(
        "who lost the lease goes on writing",
        "db/schedule.py",
        "if not renew(session, name, holder, term, seconds):",
        "if False:",
        "tests/unit/test_clock.py",
    ),
    _mutant(
        "a stop of the clock is forgotten",
        "pipelines/clock.py",
        "missed.append(slot)",
        "pass",
        "tests/unit/test_clock.py",
    ),
    # -- who may ask
    _mutant(
        "any key has any scope",
        "web/access.py",
        "if self.scope not in who.scopes:",
        "if False:",
        "tests/unit/test_access.py",
    ),
    _mutant(
        "another site sends a form",
        "web/access.py",
        "await _check_csrf(request, browser.csrf)",
        "pass",
        "tests/unit/test_access.py",
    ),
    _mutant(
        "who guesses never waits",
        "db/users.py",
        "if (session.scalar(failed) or 0) >= most:",
        "if False:",
        "tests/unit/test_access.py",
    ),
    _mutant(
        "a revoked key opens",
        "db/keys.py",
        "and_(ApiKey.revoked_at.is_(None), or_(",
        "and_(or_(",
        "tests/unit/test_access.py",
    ),
    _mutant(
        "a route needs nothing",
        "web/access.py",
        "if scope is None and path not in OPEN:",
        "if False:",
        "tests/unit/test_access.py",
    ),
    # -- what comes in
    _mutant(
        "the turnstile is open",
        "web/turnstile.py",
        'turned_away = reports and scope["app"].state.acceptor.full',
        "turned_away = False",
        "tests/unit/test_web.py",
    ),
    _mutant(
        "whoever has waited for long is no reason to turn others away",
        "web/accepting.py",
        "time.monotonic() - longest > LONGEST_WAIT",
        "False",
        "tests/unit/test_web_accepting.py",
    ),
    _mutant(
        "a body is read to its end",
        "web/limits.py",
        "if size > limit:",
        "if False:",
        "tests/unit/test_web.py",
    ),
    _mutant(
        "a body may take for ever",
        "web/limits.py",
        "async with asyncio.timeout(BODY_SECONDS):",
        "async with asyncio.timeout(None):",
        "tests/unit/test_web.py",
    ),
    _mutant(
        "a key answers for another body",
        "web/accepting.py",
        "same = earlier.fingerprint == report.use.fingerprint",
        "same = True",
        "tests/unit/test_web.py",
    ),
    _mutant(
        "who listens and does not read fills the memory",
        "web/v1/events.py",
        "not self.stopping and not mine.full()",
        "not self.stopping",
        "tests/unit/test_events.py",
    ),
    _mutant(
        "a process has listeners without end",
        "web/v1/events.py",
        "return len(self._listeners) >= MOST",
        "return False",
        "tests/unit/test_events.py",
    ),
    _mutant(
        "a cell of the export is a formula",
        "web/pages/export.py",
        'return f"\'{text}" if text.startswith(FORMULA)',
        "return text if text.startswith(FORMULA)",
        "tests/unit/test_pages.py",
    ),
    # -- what is kept and told
    _mutant(
        "a message that died is replayed for ever",
        "db/dead_letters.py",
        "if letter.replays >= limit and not force:",
        "if False:",
        "tests/unit/test_dead_letters.py",
    ),
    _mutant(
        "`--since` chooses nothing",
        "db/dead_letters.py",
        "if since is not None:",
        "if False:",
        "tests/unit/test_dead_letters.py",
        "tests/unit/test_cli.py",
    ),
    _mutant(
        "a report to Sentry holds what a ticket says",
        "actors/sentry.py",
        "include_local_variables=False",
        "include_local_variables=True",
        "tests/unit/test_sentry.py",
    ),
    _mutant(
        "a ticket's trace ends with its request",
        "web/accepting.py",
        "field(default_factory=traces.current.get)",
        "None",
        "tests/unit/test_tracing.py",
    ),
)
