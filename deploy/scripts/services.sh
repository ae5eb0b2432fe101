#!/bin/sh
# Private RabbitMQ, PostgreSQL and Redis servers, without Docker: services.sh start|stop|status|health
#
# They store their data in AURA_SERVICES (default: .services) and listen on 127.0.0.1 only, on RABBITMQ_PORT,
# RABBITMQ_MANAGEMENT_PORT, POSTGRES_PORT and REDIS_PORT. `start` writes the variables for Aura to $AURA_SERVICES/env.
set -eu

base=${AURA_SERVICES:-.services}
mkdir -p "$base"
base=$(cd "$base" && pwd)
rabbitmq_port=${RABBITMQ_PORT:-5672}
management_port=${RABBITMQ_MANAGEMENT_PORT:-15672}
epmd_port=$((rabbitmq_port + 20000))
node_port=$((rabbitmq_port + 20001))
postgres_port=${POSTGRES_PORT:-5432}
redis_port=${REDIS_PORT:-6379}
node="aura-$rabbitmq_port@localhost"

say() { printf '%s\n' "$*"; }
fail() { say "services.sh: $*" >&2; exit 1; }

# Programs that Debian keeps off the PATH come first there.
for folder in /usr/lib/rabbitmq/bin /usr/lib/postgresql/*/bin; do
    [ ! -d "$folder" ] || PATH="$folder:$PATH"
done
export PATH

need() {
    for program in rabbitmq-server initdb pg_ctl redis-server curl; do
        command -v "$program" >/dev/null ||
            fail "$program is missing: apt-get install rabbitmq-server postgresql redis-server curl"
    done
}

listens() { # PORT
    code=0
    curl -s --max-time 1 -o /dev/null "telnet://127.0.0.1:$1" </dev/null || code=$?
    [ "$code" != 7 ]
}

# Debian starts the servers that it installs, each on the port that everybody uses.
vacant() { # PORT VARIABLE
    ! listens "$1" || fail "port $1 is taken by another server: stop that one, or choose another port with $2"
}

# PostgreSQL refuses to run as root.
as_postgres() {
    if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; else "$@"; fi
}

within() { # SECONDS COMMAND...: try until it succeeds
    left=$1
    shift
    while ! "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 1
    done
}

rabbit_environment() {
    export HOME="$base/rabbitmq" ERL_EPMD_PORT="$epmd_port" ERL_EPMD_ADDRESS=127.0.0.1
    export RABBITMQ_NODENAME="$node" RABBITMQ_NODE_PORT="$rabbitmq_port" RABBITMQ_NODE_IP_ADDRESS=127.0.0.1
    export RABBITMQ_DIST_PORT="$node_port" RABBITMQ_MNESIA_BASE="$HOME/data" RABBITMQ_LOG_BASE="$HOME/log"
    export RABBITMQ_PID_FILE="$HOME/pid" RABBITMQ_CONFIG_FILE="$HOME/rabbitmq.conf" RABBITMQ_CONF_ENV_FILE=/dev/null
    export RABBITMQ_ENABLED_PLUGINS_FILE="$HOME/enabled_plugins" ERL_CRASH_DUMP="$HOME/erl_crash.dump"
}

start_rabbitmq() (
    rabbit_environment
    mkdir -p "$HOME"
    printf '[rabbitmq_management].\n' >"$RABBITMQ_ENABLED_PLUGINS_FILE"
    printf 'management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = %s\ndefault_user = %s\ndefault_pass = %s\n' \
        "$management_port" "${RABBITMQ_USER:-aura}" "${RABBITMQ_PASSWORD:-aura}" >"$RABBITMQ_CONFIG_FILE"
    printf 'disk_free_limit.absolute = 50MB\n' >>"$RABBITMQ_CONFIG_FILE"
    rabbitmq-server -detached >"$HOME/start.log" 2>&1
)

start_postgres() {
    data="$base/postgres"
    if [ ! -s "$data/PG_VERSION" ]; then
        mkdir -p "$data"
        as_postgres test -x "$base" || fail "the user postgres may not enter $base: name another folder with AURA_SERVICES"
        [ "$(id -u)" != 0 ] || chown postgres "$data"
        printf 'aura\n' >"$base/postgres.password"
        [ "$(id -u)" != 0 ] || chown postgres "$base/postgres.password"
        as_postgres "$(command -v initdb)" -D "$data" -U aura -A scram-sha-256 --pwfile="$base/postgres.password" >/dev/null
    fi
    as_postgres "$(command -v pg_ctl)" -D "$data" -l "$data/server.log" -w -t 60 start \
        -o "-p $postgres_port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$data" >/dev/null
    within 30 postgres_answers
    PGPASSWORD=aura createdb -h 127.0.0.1 -p "$postgres_port" -U aura aura 2>/dev/null || true
}

start_redis() {
    redis-server --port "$redis_port" --bind 127.0.0.1 --dir "$base" --save '' --daemonize yes \
        --pidfile "$base/redis.pid" --logfile "$base/redis.log" >/dev/null
}

# Each asks our own server, and is no if another one has its port. RabbitMQ's tools take seconds to say no.
rabbitmq_answers() { listens "$rabbitmq_port" && (rabbit_environment && rabbitmq-diagnostics -q -n "$node" check_port_connectivity); }
postgres_answers() {
    as_postgres "$(command -v pg_ctl)" -D "$base/postgres" status >/dev/null 2>&1 &&
        pg_isready -q -h 127.0.0.1 -p "$postgres_port"
}
redis_answers() { [ "$(redis-cli -p "$redis_port" config get dir 2>/dev/null | tail -n 1)" = "$base" ]; }

start() {
    need
    postgres_answers || { vacant "$postgres_port" POSTGRES_PORT && start_postgres; }
    redis_answers || { vacant "$redis_port" REDIS_PORT && start_redis; }
    rabbitmq_answers >/dev/null 2>&1 || { vacant "$rabbitmq_port" RABBITMQ_PORT && start_rabbitmq; }
    within 10 redis_answers || fail "Redis does not answer: see $base/redis.log"
    within 60 rabbitmq_answers || fail "RabbitMQ does not answer: see $base/rabbitmq/log"
    cat >"$base/env" <<VARIABLES
export AURA_ENV=development
export RABBITMQ_URL=amqp://${RABBITMQ_USER:-aura}:${RABBITMQ_PASSWORD:-aura}@127.0.0.1:$rabbitmq_port/
export DATABASE_URL=postgresql://aura:aura@127.0.0.1:$postgres_port/aura
export REDIS_URL=redis://127.0.0.1:$redis_port/0
export RABBITMQ_HOST=127.0.0.1
export RABBITMQ_MANAGEMENT_PORT=$management_port
export RABBITMQ_USER=${RABBITMQ_USER:-aura}
export RABBITMQ_PASSWORD=${RABBITMQ_PASSWORD:-aura}
VARIABLES
    say "RabbitMQ, PostgreSQL and Redis run. For Aura: . $base/env"
}

stop() {
    ! listens "$node_port" || (rabbit_environment && rabbitmqctl -q -n "$node" shutdown >/dev/null 2>&1) || true
    (rabbit_environment && epmd -kill >/dev/null 2>&1) || true
    ! redis_answers || redis-cli -p "$redis_port" shutdown nosave >/dev/null 2>&1 || true
    as_postgres "$(command -v pg_ctl)" -D "$base/postgres" -m fast -w stop >/dev/null 2>&1 || true
    say "RabbitMQ, PostgreSQL and Redis are stopped; their data stays in $base."
}

status() {
    bad=0
    for service in rabbitmq postgres redis; do
        if "${service}_answers" >/dev/null 2>&1; then say "$service answers"; else
            say "$service does not answer"
            bad=1
        fi
    done
    return "$bad"
}

case ${1:-} in
start) start ;;
stop) stop ;;
status | health) status ;;
*) fail "services.sh start|stop|status|health" ;;
esac
