-- How good the answers of models are. Scores are in thousandths, so that sums are exact.

-- One row for each call that was scored in any way. Whoever changes a score of a call locks it first.
CREATE TABLE model_call_quality (
    tenant_id TEXT NOT NULL,
    call_id TEXT NOT NULL,
    -- Under which the call's scores are summed up: days since 1970-01-01 UTC, the model that answered, the route that chose
    -- it (empty when the caller named the model), and the task.
    day BIGINT NOT NULL,
    model TEXT NOT NULL,
    route TEXT NOT NULL,
    task TEXT NOT NULL,
    -- JSON: name, value and reason of each rule's mark; NULL until the rules were applied.
    marks TEXT,
    rule_score BIGINT,
    judge_score BIGINT,
    judge_reason TEXT,
    judge_model TEXT,
    -- The judge's own call.
    judge_call_id TEXT,
    -- Why the judge gave no score.
    judge_error TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, call_id)
);

-- What people and programs think of a call's answer: one row for each of them.
CREATE TABLE model_call_feedback (
    tenant_id TEXT NOT NULL,
    call_id TEXT NOT NULL,
    -- JSON of who rated.
    actor TEXT NOT NULL,
    score BIGINT NOT NULL,
    comment TEXT,
    -- JSON array of texts.
    labels TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, call_id, actor)
);

-- The scores summed up.
CREATE TABLE model_quality_sums (
    tenant_id TEXT NOT NULL,
    day BIGINT NOT NULL,
    model TEXT NOT NULL,
    route TEXT NOT NULL,
    task TEXT NOT NULL,
    -- `rules`, `judge` or `feedback`.
    source TEXT NOT NULL,
    scores BIGINT NOT NULL,
    -- The sum of the scores, and of their squares (in millionths).
    score_sum BIGINT NOT NULL,
    square_sum BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, day, model, route, task, source)
);

-- What a workspace says about quality; no row: the defaults. The judge's monthly limit is a budget with the subject `judge`.
CREATE TABLE model_quality_settings (
    tenant_id TEXT NOT NULL,
    -- NULL: no judge.
    judge_model TEXT,
    -- The part of calls that are judged, in millionths.
    judge_share BIGINT NOT NULL,
    -- NULL: the default rubric.
    rubric TEXT,
    -- How much the cost counts against the quality in the strategy `bandit`, in thousandths.
    cost_weight BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id)
);

-- Questions and answers that wait for the judge. The job removes them, whatever comes of it.
CREATE TABLE model_judge_work (
    tenant_id TEXT NOT NULL,
    call_id TEXT NOT NULL,
    -- JSON of question and answer, both cut, sealed under the tenant's data key.
    sealed BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, call_id)
);
