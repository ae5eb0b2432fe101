#!/bin/sh
# Starts private services, creates the tables, and runs web, worker and scheduler of the Procfile until Ctrl-C or SIGTERM.
# In a fresh clone it installs Aura first. When DATABASE_URL is set, the services that the variables name are used.
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
# the command of the Procfile in the background; `exec` lets the signal reach it
for name in web worker scheduler; do
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

# when one exits, stop all: a supervisor restarts them together
while :; do
    for pid in $pids; do
        kill -0 "$pid" 2>/dev/null || end 1
    done
    sleep 1 &
    wait "$!"
done
