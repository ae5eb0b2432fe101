#!/bin/sh
# Checks settings and services by `aura doctor`, the alarms of RabbitMQ when RABBITMQ_HOST is set, and the web process.
# Exits with 1 when a check fails.
set -eu

bad=0
"${AURA:-aura}" doctor || bad=1

check() { # NAME URL [CURL OPTIONS]
    name=$1 url=$2
    shift 2
    if curl -fsS --max-time 5 -o /dev/null "$@" "$url"; then
        printf 'ok   %s\n' "$name"
    else
        printf 'FAIL %s: %s\n' "$name" "$url"
        return 1
    fi
}

if [ -n "${RABBITMQ_HOST:-}" ]; then
    # the password is passed by a file descriptor, so that it is not in the list of processes
    printf 'user = "%s:%s"\n' "${RABBITMQ_USER:-aura}" "${RABBITMQ_PASSWORD:-aura}" |
        check "rabbitmq alarms" "http://$RABBITMQ_HOST:${RABBITMQ_MANAGEMENT_PORT:-15672}/api/health/checks/alarms" --config - ||
        bad=1
fi
check web "http://127.0.0.1:${PORT:-8000}/health/ready" || bad=1
exit "$bad"
