# Plasma Engine. `make run` and `make test` are all that a new machine needs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export CARGO_TARGET_DIR ?= $(CURDIR)/target
plasma := $(CARGO_TARGET_DIR)/release/plasma
env := . scripts/env.sh
cargo := $(env) && cargo

web_sources := $(shell find apps/web packages package.json package-lock.json \
	-type d \( -name node_modules -o -name .next -o -name out -o -name docs-assets \) -prune -o -type f -print 2>/dev/null)

.PHONY: help run build web models prices test test-audit-s3 test-sdks test-sso test-oauth test-api fuzz bench-security gateway-matrix lint fmt gen sbom clean bench-search bench-search-http eval-search bench-http \
	bench-models bench-embed bench-gateway bench-vector bench-vector-10m

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: build ## Build, fetch the local models, start Plasma with a demonstration workspace
	@$(env) && scripts/run.sh $(plasma)

build: web ## Build the program with the dashboard inside
	@$(cargo) build --release --locked

web: apps/web/out/index.html ## Build the dashboard

node_modules/.package-lock.json: package.json package-lock.json apps/web/package.json
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

apps/web/out/index.html: node_modules/.package-lock.json $(web_sources)
	@npm run --silent build
	@touch $@

models: ## Fetch the local models into the cache (about 600 MB, once)
	@python3 scripts/fetch_models.py

prices: ## Renew the snapshot of public prices from the pinned release of genai-prices (VERSION=… for another)
	@python3 scripts/refresh_prices.py --retrieved-at "$$(date -u +%F)" $(if $(VERSION),--version $(VERSION))

test: ## Run every test: Rust on SQLite and Postgres, dashboard, browser, SDKs
	@$(env) && scripts/test.sh

test-sdks: ## Run only the official clients of models against Plasma, with simulated providers
	@$(env) && scripts/test.sh sdks

test-audit-s3: ## Run the tests of anchors and exports against a real S3 store (SeaweedFS, fetched once: 48 MB)
	@$(env) && trap 'scripts/seaweedfs.sh stop' EXIT && store="$$(scripts/seaweedfs.sh start)" && eval "$$store" && \
		cargo test --release --locked --workspace --test it -- --ignored a_real_store

test-sso: ## Run only single sign-on with a real OpenID provider and one that lies
	@$(env) && scripts/test.sh sso

test-oauth: ## Run only a certified client of OpenID Connect against Plasma's authorization server
	@$(env) && scripts/test.sh oauth

test-api: build models ## Send generated requests to every operation of the API (schemathesis; five minutes, or SECONDS=…)
	@tests/schemathesis/run.sh $(or $(SECONDS),300)

fuzz: ## Run the fuzzer on every parser of data from outside (ten minutes for each, or SECONDS=…; TARGETS="…" for some; needs nightly)
	@fuzz/run.sh $(or $(SECONDS),600) $(TARGETS)

gateway-matrix: ## Write docs/gateway-matrix.md from a run of those clients
	@$(env) && scripts/test.sh matrix

lint: node_modules/.package-lock.json ## Check style, types, licences and the structure rules
	@scripts/lint.sh

fmt: ## Format the Rust sources
	@cargo fmt --all

gen: node_modules/.package-lock.json ## Regenerate openapi/ and the dashboard's API types
	@$(cargo) xtask gen
	@npm run --silent generate

sbom: ## Write the bill of materials of the program (CycloneDX) for a release
	@python3 scripts/sbom.py --output "$(CARGO_TARGET_DIR)/sbom/plasma.cdx.json"

bench-security: ## Measure password logins, checks of API keys, authorization decisions and the audit log
	@$(env) && scripts/bench_security.sh

bench-search: ## Measure search over 10,000 passages
	@$(cargo) xtask bench search

bench-search-http: models build ## Measure hybrid search over 100,000 real passages through HTTP (needs wrk; the first run embeds them; OPTIONS="--seconds 5")
	@$(cargo) xtask bench search-http $(OPTIONS)

eval-search: models build ## Measure how well text, vector and hybrid search rank on labelled sets (OPTIONS="--keep" for the next run)
	@$(env) && python3 benches/search/evaluate.py $(OPTIONS)

bench-http: build ## Measure requests per second, start-up and idle cost
	@$(cargo) xtask bench http

bench-models: models ## Measure the local models: tokens and passages per second
	@$(cargo) run --release --locked --example measure_local

bench-embed: build models ## Measure embedding beside candle and ONNX Runtime on real texts (about 5 minutes; the first run builds candle)
	@$(env) && python3 benches/embed/run.py $(OPTIONS)

bench-gateway: build ## Measure Plasma as a gateway beside LiteLLM and Portkey (about 8 minutes; OPTIONS="--soak 1000000" for memory)
	@$(cargo) xtask bench gateway $(OPTIONS)

bench-vector: ## Measure the vector index beside hnswlib, faiss, ScaNN, usearch, Qdrant and pgvector on 200,000 real texts (an hour or less; the first run embeds them)
	@$(env) && python3 benches/vector/run.py $(OPTIONS)

bench-vector-10m: ## Measure the vector index alone on 10,000,000 synthetic vectors (about an hour and 30 GB of disk; KEEP=--keep for the next run)
	@$(env) && python3 benches/vector/run.py --rows 10000000 --storage f16 --only plasma --queries 1000 $(KEEP) $(OPTIONS)

clean: ## Remove everything that was built (not the cached models)
	@rm -rf target node_modules apps/*/node_modules packages/*/node_modules apps/web/out apps/web/.next .plasma
