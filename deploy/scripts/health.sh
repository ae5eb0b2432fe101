#!/bin/sh
# Is everything well? Settings, database, RabbitMQ, Redis, OpenAI and work by `aura doctor`; RabbitMQ's own alarms when
# RABBITMQ_HOST names it; and the web process. Exit code 1 when something must be mended.
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
    # the password goes by a file descriptor, not by the list of processes
    printf 'user = "%s:%s"\n' "${RABBITMQ_USER:-aura}" "${RABBITMQ_PASSWORD:-aura}" |
        check "rabbitmq alarms" "http://$RABBITMQ_HOST:${RABBITMQ_MANAGEMENT_PORT:-15672}/api/health/checks/alarms" --config - ||
        bad=1
fi
check web "http://127.0.0.1:${PORT:-8000}/health/ready" || bad=1
exit "$bad"
