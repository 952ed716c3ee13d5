#!/usr/bin/env bash
# What security costs: password logins a second, checks of API keys, authorization decisions, appends to the audit log (on SQLite, and on
# Postgres where PLASMA_TEST_POSTGRES_URL names one).
set -euo pipefail
cd "$(dirname "$0")/.."

run() {
    local example="$1"
    shift
    printf '\n== %s\n' "$example $*"
    # Of the whole workspace: what was built for the program is used again.
    cargo build --release --locked --workspace --quiet --example "$example"
    "${CARGO_TARGET_DIR:-target}/release/examples/$example" "$@"
}

printf '%s cores, %s\n' "$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
run bench_login
run bench_access
run bench_audit
if [ -n "${PLASMA_TEST_POSTGRES_URL:-}" ]; then run bench_audit --postgres; fi
