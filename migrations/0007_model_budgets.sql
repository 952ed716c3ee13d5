-- What calls of models may cost.
CREATE TABLE model_budgets (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    -- `tenant`, `user`, `api_key` or `route`, and the id or name; empty for the tenant.
    subject_kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    -- `day`, `month` or `total`, by the UTC calendar.
    period TEXT NOT NULL,
    -- Millionths of one unit of `currency`.
    limit_micros BIGINT NOT NULL,
    currency TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, subject_kind, subject_id, period)
);

-- One row for each budget and period in which something was called. Whoever changes it or its leases locks it first.
CREATE TABLE model_budget_spend (
    tenant_id TEXT NOT NULL,
    budget_id TEXT NOT NULL,
    -- 0 for `total`.
    period_start_at BIGINT NOT NULL,
    -- The sum of the costs of recorded calls.
    spent_micros BIGINT NOT NULL CHECK (spent_micros >= 0),
    -- The sum of this period's leases: what processes may still spend. Spent and leased together never pass the limit.
    leased_micros BIGINT NOT NULL CHECK (leased_micros >= 0),
    -- The highest threshold that was told of, 0 when none.
    warned_percent BIGINT NOT NULL,
    -- When a process last found too little left while others held leases: they give back what they do not need.
    wanted_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, budget_id, period_start_at),
    FOREIGN KEY (tenant_id, budget_id) REFERENCES model_budgets (tenant_id, id) ON DELETE CASCADE
);

-- Slices of what remains, each held by one process. An expired one is taken back by whoever looks next.
CREATE TABLE model_budget_leases (
    tenant_id TEXT NOT NULL,
    budget_id TEXT NOT NULL,
    period_start_at BIGINT NOT NULL,
    holder TEXT NOT NULL,
    leased_micros BIGINT NOT NULL CHECK (leased_micros > 0),
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, budget_id, period_start_at, holder),
    FOREIGN KEY (tenant_id, budget_id, period_start_at)
        REFERENCES model_budget_spend (tenant_id, budget_id, period_start_at) ON DELETE CASCADE
);

-- How fast models may be called.
CREATE TABLE model_limits (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    -- `tenant`, `user`, `api_key` or `provider`, and the id; empty for the tenant.
    subject_kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    -- NULL where there is no such limit; one of the three is there.
    requests_per_minute BIGINT,
    tokens_per_minute BIGINT,
    concurrency BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, subject_kind, subject_id)
);
