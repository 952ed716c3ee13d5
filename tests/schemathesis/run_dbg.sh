#!/usr/bin/env bash
# Generated requests to every operation, with a valid key, against a server of their own: tests/schemathesis/run.sh [SECONDS]
# Needs the built program and the local models. The last line has the counts.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/env.sh
. scripts/env.sh

seconds="${1:-300}"
port="${PLASMA_TEST_API_PORT:-18441}"
plasma="${CARGO_TARGET_DIR:-target}/release/plasma"
[ -x "$plasma" ] || { echo "$plasma is missing: run \`make build\` first" >&2; exit 1; }
python3 scripts/fetch_models.py >&2 || { echo "the local models are not complete; the lines above say why" >&2; exit 1; }

# Packages, once for each state of the list.
list=tests/schemathesis/requirements.txt
packages="$PLASMA_CACHE_DIR/python-tests/$(sha256sum "$list" | cut -c 1-16)"
if [ ! -d "$packages" ]; then
    rm -rf "$packages.new"
    python3 -m pip install --quiet --disable-pip-version-check --target "$packages.new" --requirement "$list" >&2
    mv "$packages.new" "$packages"
fi

work=/tmp/schwork; rm -rf $work; mkdir -p $work
server=""
cleanup() {
    [ -n "$server" ] && kill -TERM "$server" 2>/dev/null && wait "$server" 2>/dev/null
    true
}
trap cleanup EXIT

# Made anew each time, in the form that the server accepts from its configuration.
key="plk_$(python3 -c 'import secrets; print(secrets.token_hex(26))')"
# Only what the server is told here counts; nothing that it is made to call is outside of this machine.
for name in "${!PLASMA_@}"; do
    case "$name" in PLASMA_MODELS_DIR | PLASMA_CACHE_DIR | PLASMA_TEST_*) ;; *) unset "$name" ;; esac
done
PLASMA_BOOTSTRAP_API_KEY="$key" PLASMA_OWNER_PASSWORD="$(python3 -c 'import secrets; print(secrets.token_hex(12))')" \
    PLASMA_HUB_URL=http://127.0.0.1:9 PLASMA_LOG_LEVEL=info,plasma::access=warn \
    "$plasma" serve --data-dir "$work/data" --listen "127.0.0.1:$port" >"$work/output" 2>"$work/log" &
server=$!
url="http://127.0.0.1:$port"
for _ in $(seq 200); do
    python3 -c "import urllib.request; urllib.request.urlopen('$url/readyz', timeout=1)" 2>/dev/null && break
    kill -0 "$server" 2>/dev/null || { cat "$work/output" "$work/log" >&2; echo "the server did not start" >&2; exit 1; }
    sleep 0.1
done

PYTHONPATH="$packages" PYTHONDONTWRITEBYTECODE=1 python3 tests/schemathesis/run.py "$url" "$key" "$work/log" "$seconds" || {
    status=$?
    grep -hE "panicked at|request failed" "$work/log" | head -20 || true
    exit "$status"
}
