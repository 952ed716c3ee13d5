-- The team to which a call is counted; NULL when it is no team's. It outlives the team.
ALTER TABLE model_calls ADD COLUMN team_id TEXT;
CREATE INDEX model_calls_by_team ON model_calls (tenant_id, team_id, id) WHERE team_id IS NOT NULL;

-- The team to which the calls of background work are counted: that of whoever began it, at that time.
ALTER TABLE model_batches ADD COLUMN team_id TEXT;
ALTER TABLE model_benchmarks ADD COLUMN team_id TEXT;

-- Sums are told apart by team too: all calls that were made before there were teams are no team's. SQLite cannot change a primary
-- key, so the rows move into a table that has the new one.
CREATE TABLE model_usage_with_teams (
    tenant_id TEXT NOT NULL,
    -- Days since 1970-01-01 UTC on which the calls started.
    day BIGINT NOT NULL,
    model TEXT NOT NULL,
    -- The part of the model's name before the first slash.
    provider TEXT NOT NULL,
    -- Who called: one of the two, or neither when Plasma itself did. Empty texts stand for nothing, because a key has no NULL.
    api_key_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    -- The team to which the calls are counted; empty when they are no team's.
    team_id TEXT NOT NULL DEFAULT '',
    -- Empty when the caller named the model.
    route TEXT NOT NULL,
    -- Empty when the cost is not known.
    currency TEXT NOT NULL,
    calls BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    cache_hits BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    cached_input_tokens BIGINT NOT NULL,
    cache_write_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    cost_micros BIGINT NOT NULL,
    -- Sums; the second of those calls only that had a first token.
    duration_ms BIGINT NOT NULL,
    first_token_ms BIGINT NOT NULL,
    -- How many calls took how long: _00 less than 4 ms, each following one up to twice as long, _19 from 1,048,576 ms on.
    duration_00 BIGINT NOT NULL, duration_01 BIGINT NOT NULL, duration_02 BIGINT NOT NULL, duration_03 BIGINT NOT NULL,
    duration_04 BIGINT NOT NULL, duration_05 BIGINT NOT NULL, duration_06 BIGINT NOT NULL, duration_07 BIGINT NOT NULL,
    duration_08 BIGINT NOT NULL, duration_09 BIGINT NOT NULL, duration_10 BIGINT NOT NULL, duration_11 BIGINT NOT NULL,
    duration_12 BIGINT NOT NULL, duration_13 BIGINT NOT NULL, duration_14 BIGINT NOT NULL, duration_15 BIGINT NOT NULL,
    duration_16 BIGINT NOT NULL, duration_17 BIGINT NOT NULL, duration_18 BIGINT NOT NULL, duration_19 BIGINT NOT NULL,
    first_token_00 BIGINT NOT NULL, first_token_01 BIGINT NOT NULL, first_token_02 BIGINT NOT NULL, first_token_03 BIGINT NOT NULL,
    first_token_04 BIGINT NOT NULL, first_token_05 BIGINT NOT NULL, first_token_06 BIGINT NOT NULL, first_token_07 BIGINT NOT NULL,
    first_token_08 BIGINT NOT NULL, first_token_09 BIGINT NOT NULL, first_token_10 BIGINT NOT NULL, first_token_11 BIGINT NOT NULL,
    first_token_12 BIGINT NOT NULL, first_token_13 BIGINT NOT NULL, first_token_14 BIGINT NOT NULL, first_token_15 BIGINT NOT NULL,
    first_token_16 BIGINT NOT NULL, first_token_17 BIGINT NOT NULL, first_token_18 BIGINT NOT NULL, first_token_19 BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, day, model, api_key_id, user_id, team_id, route, currency)
);

INSERT INTO model_usage_with_teams (tenant_id, day, model, provider, api_key_id, user_id, route, currency, calls, failed, cancelled, cache_hits, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens,
    reasoning_tokens, cost_micros, duration_ms, first_token_ms, duration_00, duration_01, duration_02, duration_03,
    duration_04, duration_05, duration_06, duration_07, duration_08, duration_09, duration_10, duration_11,
    duration_12, duration_13, duration_14, duration_15, duration_16, duration_17, duration_18, duration_19,
    first_token_00, first_token_01, first_token_02, first_token_03, first_token_04, first_token_05, first_token_06, first_token_07,
    first_token_08, first_token_09, first_token_10, first_token_11, first_token_12, first_token_13, first_token_14, first_token_15,
    first_token_16, first_token_17, first_token_18, first_token_19)
SELECT tenant_id, day, model, provider, api_key_id, user_id, route, currency, calls, failed, cancelled, cache_hits, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens,
    reasoning_tokens, cost_micros, duration_ms, first_token_ms, duration_00, duration_01, duration_02, duration_03,
    duration_04, duration_05, duration_06, duration_07, duration_08, duration_09, duration_10, duration_11,
    duration_12, duration_13, duration_14, duration_15, duration_16, duration_17, duration_18, duration_19,
    first_token_00, first_token_01, first_token_02, first_token_03, first_token_04, first_token_05, first_token_06, first_token_07,
    first_token_08, first_token_09, first_token_10, first_token_11, first_token_12, first_token_13, first_token_14, first_token_15,
    first_token_16, first_token_17, first_token_18, first_token_19
FROM model_usage;
DROP TABLE model_usage;
ALTER TABLE model_usage_with_teams RENAME TO model_usage;
