#!/usr/bin/env bash
# Runs the fuzzer on every parser of data from outside, and prints a table: fuzz/run.sh [SECONDS for each target] [TARGET…]
# Needs the nightly compiler. Inputs that made progress stay in fuzz/corpus, those that broke something in fuzz/artifacts. Exit status 1
# when a target broke. FUZZ_JOBS targets run at the same time (the number of cores), FUZZ_SANITIZER is none, address or leak.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
. scripts/env.sh

seconds="${1:-600}"
[ "$#" -gt 0 ] && shift
jobs="${FUZZ_JOBS:-$(nproc)}"
sanitizer="${FUZZ_SANITIZER:-none}"
# A workspace of its own has a folder of its own: its objects fit no other compiler.
export CARGO_TARGET_DIR="$PWD/fuzz/target"

rustup run nightly rustc --version >&2 || { echo "the nightly compiler is missing: rustup toolchain install nightly" >&2; exit 1; }
cargo fuzz --version >/dev/null 2>&1 || CARGO_TARGET_DIR="$PLASMA_CACHE_DIR/cargo-fuzz" cargo install --locked --quiet cargo-fuzz
# The same versions of everything as in the program.
cp Cargo.lock fuzz/Cargo.lock
cargo +nightly fuzz build --fuzz-dir fuzz --sanitizer "$sanitizer" parsers >&2
program="$(find fuzz/target -path '*/release/parsers' -type f | head -n 1)"
[ -x "$program" ] || { echo "the fuzzer was not built where it is expected" >&2; exit 1; }
mapfile -t known < <(PLASMA_FUZZ_TARGET=list "$program" 2>/dev/null)
if [ "$#" -gt 0 ]; then targets=("$@"); else targets=("${known[@]}"); fi
[ "${#targets[@]}" -gt 0 ] || { echo "the fuzzer names no target" >&2; exit 1; }

logs="$(mktemp -d)"
trap 'rm -rf "$logs"' EXIT

# What the tests read is a good beginning.
seed() {
    case "$1" in
    document) cp crates/knowledge/tests/fixtures/* "$2" 2>/dev/null ;;
    document_pdf) cp crates/knowledge/tests/fixtures/*.pdf "$2" 2>/dev/null ;;
    document_docx) cp crates/knowledge/tests/fixtures/*.docx "$2" 2>/dev/null ;;
    esac
    if [ -d "fuzz/seeds/$1" ]; then cp "fuzz/seeds/$1"/* "$2"; fi
}

fuzz() {
    local target="$1" corpus="fuzz/corpus/$1" artifacts="fuzz/artifacts/$1" status=0
    mkdir -p "$corpus" "$artifacts"
    seed "$target" "$corpus" || true
    PLASMA_FUZZ_TARGET="$target" "$program" "$corpus" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3072 -max_len=65536 \
        -artifact_prefix="$artifacts/" -print_final_stats=1 >"$logs/$target" 2>&1 || status=$?
    echo "$status" >"$logs/$target.status"
}

for target in "${targets[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
    fuzz "$target" &
done
wait

number() { grep -oE "$2 *[0-9]+" "$logs/$1" | grep -oE '[0-9]+$' | tail -n 1; }
printf '\n%-20s %8s %13s %10s %9s %7s  %s\n' target seconds executions "a second" branches inputs result
passed=0 failed=0
for target in "${targets[@]}"; do
    executions="$(number "$target" 'stat::number_of_executed_units:' || true)"
    each="$(number "$target" 'stat::average_exec_per_sec:' || true)"
    branches="$(grep -oE 'cov: [0-9]+' "$logs/$target" | tail -n 1 | grep -oE '[0-9]+' || true)"
    inputs="$(find "fuzz/corpus/$target" -type f | wc -l)"
    if [ "$(cat "$logs/$target.status")" = 0 ]; then
        result=held passed=$((passed + 1))
    else
        result="BROKE: fuzz/artifacts/$target" failed=$((failed + 1))
    fi
    printf '%-20s %8s %13s %10s %9s %7s  %s\n' "$target" "$seconds" "${executions:--}" "${each:--}" "${branches:--}" "$inputs" "$result"
done
for target in "${targets[@]}"; do
    [ "$(cat "$logs/$target.status")" = 0 ] && continue
    printf '\n== %s\n' "$target"
    grep -vE '^#[0-9]' "$logs/$target" | tail -n 30
done
printf '\n%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
