#!/usr/bin/env bash
# Starts Plasma with a demonstration workspace: scripts/run.sh PATH-OF-PLASMA
# The data stays in PLASMA_DATA_DIR (default .plasma in this folder) between starts.
set -euo pipefail

plasma="$1"
data="${PLASMA_DATA_DIR:-$PWD/.plasma}"
listen="${PLASMA_LISTEN:-127.0.0.1:8080}"
url="http://$listen"
mkdir -p "$data"

# Without models everything but meaning search and answers works, so a failure here is only told.
models_note=""
if ! python3 scripts/fetch_models.py; then
    models_note="The local models are not complete: answers, drafts and search by meaning will say so. Run \`make models\` when the network is back."
fi

# The login and the key of the demonstration are made once and kept beside the data, readable by this user only.
secrets="$data/demo.env"
if [ ! -f "$secrets" ]; then
    (
        umask 077
        random() { python3 -c 'import secrets, string, sys; print("".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(int(sys.argv[1]))))' "$1"; }
        {
            echo "PLASMA_OWNER_EMAIL=owner@example.com"
            echo "PLASMA_OWNER_PASSWORD=$(random 16)"
            echo "PLASMA_BOOTSTRAP_API_KEY=plk_$(random 40)"
        } >"$secrets"
    )
fi
set -a
# shellcheck source=/dev/null
. "$secrets"
set +a

# What stands here for the reader should not scroll away behind every request.
export PLASMA_LOG_LEVEL="${PLASMA_LOG_LEVEL:-info,plasma::access=warn}"
"$plasma" serve --data-dir "$data" --listen "$listen" &
server=$!
# Ctrl-C reaches the server too, for it is in the same process group; this script only waits for it.
trap ':' INT
trap 'kill -TERM "$server" 2>/dev/null || true' TERM

ready() { python3 - "$url/readyz" <<'PY'
import sys, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=1)
except Exception:
    sys.exit(1)
PY
}
for _ in $(seq 100); do
    if ready; then break; fi
    if ! kill -0 "$server" 2>/dev/null; then
        status=0
        wait "$server" || status=$?
        echo "plasma stopped before it was ready (exit code $status); the reason stands above" >&2
        exit "$status"
    fi
    sleep 0.1
done

cat <<TEXT

  Plasma is ready:  $url
  Log in as         $PLASMA_OWNER_EMAIL
  with password     $PLASMA_OWNER_PASSWORD

  Search from the shell:

    curl -s $url/api/v1/search -H 'Authorization: Bearer $PLASMA_BOOTSTRAP_API_KEY' \\
      -H 'Content-Type: application/json' -d '{"collection": "Plasma documentation", "query": "how are citations checked", "limit": 3}'

  Ctrl-C stops it; the data stays in $data.
TEXT
if [ -n "$models_note" ]; then printf '\n  %s\n' "$models_note"; fi
echo

# Real documents for a first look; each has a key, so a second start replaces nothing and adds nothing.
if [ ! -f "$data/demo.done" ]; then
    (
        if scripts/demo.sh "$plasma" "$url" "$PLASMA_BOOTSTRAP_API_KEY" "$data"; then touch "$data/demo.done"; fi
    ) &
fi

status=0
while kill -0 "$server" 2>/dev/null; do
    status=0
    wait "$server" || status=$?
done
exit "$status"
