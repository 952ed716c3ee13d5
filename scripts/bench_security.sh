#!/usr/bin/env bash
# What security costs: password logins a second, checks of API keys, authorization decisions, appends to the audit log. Arguments are passed
# on to each measurement.
set -euo pipefail
cd "$(dirname "$0")/.."

printf '%s cores, %s\n' "$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
for example in bench_login bench_access bench_audit; do
    printf '\n== %s\n' "$example"
    cargo run --release --locked --quiet --example "$example" -- "$@"
done
