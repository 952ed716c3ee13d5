#!/usr/bin/env bash
# Every test: sets up what it needs on private ports, runs all suites even when one fails, stops what it started, and
# prints the counts last. `test.sh sdks` runs only the suites of the models' clients, `test.sh sso` only single sign-on with a
# real OpenID provider, `test.sh oauth` only the client of the authorization server, `test.sh matrix` writes
# docs/gateway-matrix.md. PLASMA_TEST_API_SECONDS says how long generated requests are sent (300).
set -uo pipefail

only="${1:-all}"
port="${PLASMA_TEST_PORT:-18437}"
# Beside the Postgres of the tables: two that only hold vectors.
postgres_port="${PLASMA_TEST_POSTGRES_PORT:-54329}"
search_node_ports=("$((postgres_port + 1))" "$((postgres_port + 2))")
work="$(mktemp -d)"
server=""
passed=0 failed=0 broken=()

cleanup() {
    [ -n "$server" ] && kill -TERM "$server" 2>/dev/null && wait "$server" 2>/dev/null
    if [ "$only" = all ]; then
        scripts/postgres.sh stop
        scripts/openbao.sh stop
        for node in "${search_node_ports[@]}"; do PLASMA_TEST_POSTGRES_PORT="$node" scripts/postgres.sh stop; done
    fi
    rm -rf "$work"
}
trap cleanup EXIT

need() { echo "make test cannot go on: $1" >&2; exit 1; }

# suite NAME COMMAND…: runs it, keeps its output for counting.
suite() {
    local name="$1"
    shift
    printf '\n== %s\n' "$name"
    if "$@" 2>&1 | tee "$work/output"; then :; else broken+=("$name"); fi
}

# count PATTERN-OF-PASSED PATTERN-OF-FAILED: adds up the numbers in the suite's closing lines.
count() {
    local plain
    plain="$(sed 's/\x1b\[[0-9;]*m//g' "$work/output")"
    passed=$((passed + $(grep -oE "$1" <<<"$plain" | grep -oE '[0-9]+' | awk '{s += $1} END {print s + 0}')))
    failed=$((failed + $(grep -oE "$2" <<<"$plain" | grep -oE '[0-9]+' | awk '{s += $1} END {print s + 0}')))
}

make --no-print-directory build || need "the build failed"
python3 scripts/fetch_models.py || need "the local models are not complete; the lines above say why"

program_suites() {
    local variables
    variables="$(scripts/postgres.sh start)" || need "the test Postgres did not start"
    eval "$variables"
    PLASMA_TEST_SEARCH_NODES=""
    for node in "${search_node_ports[@]}"; do
        variables="$(PLASMA_TEST_POSTGRES_PORT="$node" scripts/postgres.sh start)" || need "a Postgres for search nodes did not start"
        PLASMA_TEST_SEARCH_NODES+=" ${variables#*=}"
    done
    export PLASMA_TEST_SEARCH_NODES
    variables="$(scripts/openbao.sh start)" || need "the test OpenBao did not start"
    eval "$variables"
    if cargo nextest --version >/dev/null 2>&1; then
        # What an earlier run left must not show anything of this one.
        rm -f target/nextest/full/junit.xml
        suite "Rust tests" cargo nextest run --profile full --release --locked --workspace --no-fail-fast \
            --status-level fail --final-status-level fail
        count '[0-9]+ passed' '[0-9]+ (failed|timed out)'
        suite "Security controls that this run shows" "${CARGO_TARGET_DIR:-target}/release/plasma" compliance report
    else
        suite "Rust tests" cargo test --release --locked --workspace --no-fail-fast --quiet
        count '[0-9]+ passed' '[0-9]+ failed'
    fi
    suite "Measures of ranking" python3 benches/search/test_search.py
    count '[0-9]+ passed' '[0-9]+ failed'
    suite "Bill of materials" python3 scripts/test_sbom.py
    count '[0-9]+ passed' '[0-9]+ failed'
    suite "Dashboard unit tests" npm run --silent test
    count 'Tests +[0-9]+ passed' 'Tests +[0-9]+ failed'
}

browser_suite() {
    if ! [ -x /usr/bin/chromium ]; then
        [ "$(id -u)" -eq 0 ] || need "chromium is missing: install the package chromium"
        apt-get update -qq >/dev/null && apt-get install -y -qq chromium >/dev/null ||
            need "chromium could not be installed"
    fi
    suite "Browser" npm run --silent e2e
    count '(ℹ|#) pass [0-9]+' '(ℹ|#) fail [0-9]+'
}

# python_packages: what tests/sdk/requirements.txt pins, fetched once for each state of that file.
python_packages() {
    local folder
    folder="$PLASMA_CACHE_DIR/python-tests/$(sha256sum tests/sdk/requirements.txt | cut -c 1-16)"
    if [ ! -d "$folder" ]; then
        rm -rf "$folder.new"
        python3 -m pip install --quiet --disable-pip-version-check --target "$folder.new" \
            --requirement tests/sdk/requirements.txt >&2 || return 1
        mv "$folder.new" "$folder"
    fi
    echo "$folder"
}

oauth_suite() {
    suite "Client of the authorization server" npm run --silent oauth --workspace @plasma/oauth-tests
    count '(ℹ|#) pass [0-9]+' '(ℹ|#) fail [0-9]+'
}

sdk_suites() {
    suite "OpenAI's Python client" python3 tests/sdk/openai_client.py
    count '[0-9]+ passed' '[0-9]+ failed'
    suite "Model clients of all protocols" python3 tests/sdk/gateway_clients.py
    count '[0-9]+ passed' '[0-9]+ failed'
}

sso_suite() {
    suite "Single sign-on with a real provider" npm run --silent sso
    count '(ℹ|#) pass [0-9]+' '(ℹ|#) fail [0-9]+'
}

api_suite() {
    suite "Generated requests to every operation" tests/schemathesis/run.sh "${PLASMA_TEST_API_SECONDS:-300}"
    count '[0-9]+ passed' '[0-9]+ failed'
}

[ "$only" = all ] && program_suites

# A real server with real models for the browser and the SDKs.
export PLASMA_URL="http://127.0.0.1:$port" PLASMA_EMAIL=owner@example.com PLASMA_PASSWORD=a-password-for-tests
export PLASMA_API_KEY=plk_0123456789abcdefghijklmnopqrstuvwxyzabcd PLASMA_OUTBOX="$work/data/outbox"
# The simulated providers of models and of identities run on this machine.
PLASMA_OWNER_EMAIL="$PLASMA_EMAIL" PLASMA_OWNER_PASSWORD="$PLASMA_PASSWORD" PLASMA_BOOTSTRAP_API_KEY="$PLASMA_API_KEY" \
    PLASMA_OUTBOUND_ALLOWED_NETWORKS=127.0.0.0/8 \
    "${CARGO_TARGET_DIR:-target}/release/plasma" serve --data-dir "$work/data" --listen "127.0.0.1:$port" >"$work/server.log" 2>&1 &
server=$!
for _ in $(seq 100); do
    python3 -c "import urllib.request; urllib.request.urlopen('$PLASMA_URL/readyz', timeout=1)" 2>/dev/null && break
    kill -0 "$server" 2>/dev/null || { cat "$work/server.log"; need "the server did not start"; }
    sleep 0.1
done

[ "$only" = all ] && browser_suite
if [ "$only" = all ] || [ "$only" = sso ]; then sso_suite; fi
if [ "$only" = all ] || [ "$only" = oauth ]; then oauth_suite; fi
if [ "$only" != sso ] && [ "$only" != oauth ]; then
    packages="$(python_packages)" || need "the Python packages for the SDK tests could not be had"
    export PYTHONPATH="$packages" PYTHONDONTWRITEBYTECODE=1
fi
if [ "$only" = matrix ]; then
    suite "Model clients of all protocols" python3 tests/sdk/gateway_clients.py --matrix docs/gateway-matrix.md
    count '[0-9]+ passed' '[0-9]+ failed'
elif [ "$only" != sso ] && [ "$only" != oauth ]; then
    sdk_suites
fi
[ "$only" = all ] && api_suite

printf '\n'
for name in "${broken[@]+"${broken[@]}"}"; do echo "failed: $name"; done
# A suite that broke without counting anything must not look like a success.
[ "${#broken[@]}" -gt 0 ] && [ "$failed" -eq 0 ] && failed="${#broken[@]}"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
