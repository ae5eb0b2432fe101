"""What was measured, as other pages say it: docs/how-to/scale.md multiplies it, and the README sets it beside the peers'."""

from __future__ import annotations

from bench.results import Results, best_celery
from bench.tables import Grid

#: Tickets a second for which docs/how-to/scale.md says what to do, the first of which come alone.
RATES = (10, 1_000, 100_000)


def others(peers: Results) -> str:
    """Return what Aura, plain Dramatiq and the better Celery did, and how many times as much Aura did."""
    medians = {name: each["median"] for name, each in peers["contenders"].items()}
    celery = best_celery(medians)
    assert celery is not None
    names = {"aura": "Aura", "plain": "plain Dramatiq", celery: peers["contenders"][celery]["title"]}
    grid = Grid(f"Our pipeline on two cores, {peers['date']}", ["", *names.values()])
    rates = {name: medians[name]["rate"] for name in names}
    grid.rows.extend(
        [
            ["tickets/s", *(f"{rate:,.0f}" for rate in rates.values())],
            ["Aura's as a multiple", "", *(f"{rates['aura'] / rates[name]:,.1f}x" for name in ("plain", celery))],
            [
                "ms at 50 tickets/s, p50 / p95",
                *("{steady_p50:,.1f} / {steady_p95:,.1f}".format(**medians[name]) for name in names),
            ],
        ]
    )
    return grid.markdown()


def scaling(measured: Results) -> str:
    """Return what a ticket costs, and that multiplied."""
    peers, growth, relay = measured["peers"]["contenders"], measured["growth"], measured["relay"]
    ours, events = peers["aura"]["median"], peers["aura-events"]["median"]
    tables, backlog = growth["tables"], growth["backlog"]
    steps, grown = measured["peers"]["date"], growth["date"]
    costs = Grid("What a ticket costs", ["", "", "measured on"], words=True)
    costs.rows.extend(
        [
            [
                "when it comes with many: workers / database / RabbitMQ",
                "{cpu_workers:,.0f} / {cpu_database:,.0f} / {cpu_broker:,.0f} µs of CPU".format(**ours),
                steps,
            ],
            ["when it comes alone, at 50 a second", f"{ours['steady_cpu'] / 1000:,.1f} ms of CPU in all", steps],
            [
                "one by one, at {share_rate:,.0f} a second: p50 / p95".format(**ours),
                "{share_p50:,.0f} / {share_p95:,.0f} ms until its last mail has left".format(**ours),
                steps,
            ],
            ["events for other services (`AURA_EVENTS`)", _instead(events["rate"], ours["rate"], "tickets/s"), steps],
            [
                f"with {tables[-1]['size']:,} finished tickets in the tables, against {tables[0]['size']:,}",
                _instead(tables[-1]["rate"], tables[0]["rate"], "tickets/s"),
                grown,
            ],
            [
                f"with {backlog[-1]['size']:,} tickets waiting, against {backlog[0]['size']:,}",
                _instead(backlog[-1]["jobs_per_second"], backlog[0]["jobs_per_second"], "jobs/s"),
                grown,
            ],
            ["one relay alone", f"{relay['jobs_per_second']:,.0f} jobs/s become hints", relay["date"]],
        ]
    )
    return f"{costs.markdown()}\n\n{_reckoned(ours).markdown()}"


def _reckoned(ours: dict[str, float]) -> Grid:
    headings = ["tickets/s", "cores for the steps", "of these the database's", "machines like the measured one"]
    grid = Grid("Reckoned from the first two rows", headings)
    for rate in RATES:
        if rate == RATES[0]:
            cores, database = f"{rate * ours['steady_cpu'] / 1e6:,.2f}", ""
        else:
            cores, database = (
                f"{rate * cost / 1e6:,.{2 if rate == RATES[1] else 0}f}" for cost in (ours["cpu"], ours["cpu_database"])
            )
        share = rate / ours["rate"]
        grid.rows.append([f"{rate:,}", cores, database, f"{share:,.2f}" if share < 1 else f"{share:,.0f}"])
    return grid


def _instead(now: float, before: float, unit: str) -> str:
    return f"{now:,.0f} instead of {before:,.0f} {unit}"
