"""`python -m bench.soak`: tickets pass through real services for an hour, and memory, connections and bloat stay flat.

SOAK_TICKETS (1,000,000) and SOAK_SECONDS (3600) bound it; whichever comes first ends it. The samples are written to
docs/explanation/soak.json and drawn as docs/images/soak.svg. Exit code 1: something grew.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import date

from bench import page, results
from bench.services import ROOT
from bench.soak import chart, figures
from bench.soak.run import EVERY, soak

DATA, CHART = ROOT / "docs/explanation/soak.json", ROOT / "docs/images/soak.svg"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tickets", type=int, default=int(os.environ.get("SOAK_TICKETS", "1000000")))
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("SOAK_SECONDS", "3600")))
    parser.add_argument("--every", type=float, default=EVERY, help=f"seconds between two samples ({EVERY:g})")
    parser.add_argument("--dry", action="store_true", help="print only")
    asked = parser.parse_args()
    where = {
        "date": date.today().isoformat(),
        "machine": results.machine(),
        "load_before": round(os.getloadavg()[0], 1),
    }
    found = where | soak(asked.tickets, asked.seconds, asked.every, lambda text: print(text, file=sys.stderr))
    found["figures"] = figures.summary(found)
    print(json.dumps(results.rounded(found["figures"]), indent=2))
    if not asked.dry:
        DATA.write_text(json.dumps(results.rounded(found)) + "\n")
        chart.draw(found, CHART)
        page.write(results.store("soak", {key: found[key] for key in found if key != "samples"}))
    wrong = figures.problems(found["figures"])
    print("\n".join(wrong) or "memory, descriptors, connections and tables stayed flat", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
