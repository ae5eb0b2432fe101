#!/bin/sh
# Services of one's own, tables, and then web, worker and clock as the Procfile says; Ctrl-C or SIGTERM ends Aura in order.
# In a fresh clone it installs Aura first. With DATABASE_URL set, the services are those that the variables name.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
PATH="$PWD/.venv/bin:$PATH"
export PATH

command -v aura >/dev/null || make .venv/runtime.stamp
if [ -z "${DATABASE_URL:-}" ]; then
    "$here/services.sh" start
    # shellcheck source=/dev/null
    . "${AURA_SERVICES:-.services}/env"
fi
python -m aura migrate

pids=
# each in the background, in the words of the Procfile; `exec`, so that the signal reaches it
for name in web worker clock; do
    line=$(sed -n "s/^$name: //p" Procfile)
    sh -c "exec $line" &
    pids="$pids $!"
done

end() {
    trap - INT TERM
    # shellcheck disable=SC2086 # several numbers
    kill -TERM $pids 2>/dev/null || true
    wait
    exit "$1"
}
trap 'end 0' INT TERM

# when one ends, all do: a supervisor starts them again together
while :; do
    for pid in $pids; do
        kill -0 "$pid" 2>/dev/null || end 1
    done
    sleep 1 &
    wait "$!"
done
