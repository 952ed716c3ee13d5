#!/usr/bin/env bash
# What security costs: password logins a second, checks of API keys, authorization decisions, appends to the audit log (on SQLite, and on
# Postgres where PLASMA_TEST_POSTGRES_URL names one).
set -euo pipefail
cd "$(dirname "$0")/.."

run() {
    local package="$1" example="$2"
    shift 2
    printf '\n== %s\n' "$example $*"
    cargo run --release --locked --quiet --package "$package" --example "$example" -- "$@"
}

printf '%s cores, %s\n' "$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
run plasma-identity bench_login
run plasma-identity bench_access
run plasma-governance bench_audit
if [ -n "${PLASMA_TEST_POSTGRES_URL:-}" ]; then run plasma-governance bench_audit --postgres; fi
