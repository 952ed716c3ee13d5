-- Calls summed up, so that a year of them is read quickly. One row for each day and group of calls; the transaction that records
-- calls adds to it.
CREATE TABLE model_usage (
    tenant_id TEXT NOT NULL,
    -- Days since 1970-01-01 UTC on which the calls started.
    day BIGINT NOT NULL,
    model TEXT NOT NULL,
    -- The part of the model's name before the first slash.
    provider TEXT NOT NULL,
    -- Who called: one of the two, or neither when Plasma itself did. Empty texts stand for nothing, because a key has no NULL.
    api_key_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
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
    PRIMARY KEY (tenant_id, day, model, api_key_id, user_id, route, currency)
);

-- The one who called: a key's or a person's id; empty when Plasma itself did.
ALTER TABLE model_calls ADD COLUMN actor_id TEXT NOT NULL DEFAULT '';
UPDATE model_calls SET actor_id = CASE
    WHEN actor LIKE '{"kind":"api\_key","id":"%' ESCAPE '\' THEN substr(actor, 25, 30)
    WHEN actor LIKE '{"kind":"user","id":"%' THEN substr(actor, 22, 30)
    ELSE '' END;
CREATE INDEX model_calls_by_actor ON model_calls (tenant_id, actor_id, id);
CREATE INDEX model_calls_by_route ON model_calls (tenant_id, route, id) WHERE route IS NOT NULL;
CREATE INDEX model_calls_by_status ON model_calls (tenant_id, status, id);
-- Nothing reads by it any more: ids are in the order of time.
DROP INDEX model_calls_by_time;

INSERT INTO model_usage (tenant_id, day, model, provider, api_key_id, user_id, route, currency, calls, failed, cancelled, cache_hits, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens,
    reasoning_tokens, cost_micros, duration_ms, first_token_ms, duration_00, duration_01, duration_02, duration_03,
    duration_04, duration_05, duration_06, duration_07, duration_08, duration_09, duration_10, duration_11,
    duration_12, duration_13, duration_14, duration_15, duration_16, duration_17, duration_18, duration_19,
    first_token_00, first_token_01, first_token_02, first_token_03, first_token_04, first_token_05, first_token_06, first_token_07,
    first_token_08, first_token_09, first_token_10, first_token_11, first_token_12, first_token_13, first_token_14, first_token_15,
    first_token_16, first_token_17, first_token_18, first_token_19)
SELECT tenant_id, created_at / 86400000000, model,
    substr(model, 1, length(model) - length(ltrim(model, replace(model, '/', '')))),
    CASE WHEN actor_id LIKE 'key%' THEN actor_id ELSE '' END, CASE WHEN actor_id LIKE 'usr%' THEN actor_id ELSE '' END,
    COALESCE(route, ''), CASE WHEN cost_micros IS NULL THEN '' ELSE COALESCE(cost_currency, '') END,
    COUNT(*), SUM(CASE WHEN status = 'failed' THEN 1 ELSE 0 END), SUM(CASE WHEN status = 'cancelled' THEN 1 ELSE 0 END), 0,
    SUM(input_tokens), SUM(cached_input_tokens), SUM(cache_write_tokens), SUM(output_tokens), SUM(reasoning_tokens),
    COALESCE(SUM(cost_micros), 0), SUM(duration_ms), COALESCE(SUM(first_token_ms), 0),
    SUM(CASE WHEN duration_ms < 4 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 4 AND duration_ms < 8 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 8 AND duration_ms < 16 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 16 AND duration_ms < 32 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 32 AND duration_ms < 64 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 64 AND duration_ms < 128 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 128 AND duration_ms < 256 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 256 AND duration_ms < 512 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 512 AND duration_ms < 1024 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 1024 AND duration_ms < 2048 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 2048 AND duration_ms < 4096 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 4096 AND duration_ms < 8192 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 8192 AND duration_ms < 16384 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 16384 AND duration_ms < 32768 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 32768 AND duration_ms < 65536 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 65536 AND duration_ms < 131072 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 131072 AND duration_ms < 262144 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 262144 AND duration_ms < 524288 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 524288 AND duration_ms < 1048576 THEN 1 ELSE 0 END),
    SUM(CASE WHEN duration_ms >= 1048576 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms < 4 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 4 AND first_token_ms < 8 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 8 AND first_token_ms < 16 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 16 AND first_token_ms < 32 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 32 AND first_token_ms < 64 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 64 AND first_token_ms < 128 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 128 AND first_token_ms < 256 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 256 AND first_token_ms < 512 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 512 AND first_token_ms < 1024 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 1024 AND first_token_ms < 2048 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 2048 AND first_token_ms < 4096 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 4096 AND first_token_ms < 8192 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 8192 AND first_token_ms < 16384 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 16384 AND first_token_ms < 32768 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 32768 AND first_token_ms < 65536 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 65536 AND first_token_ms < 131072 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 131072 AND first_token_ms < 262144 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 262144 AND first_token_ms < 524288 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 524288 AND first_token_ms < 1048576 THEN 1 ELSE 0 END),
    SUM(CASE WHEN first_token_ms >= 1048576 THEN 1 ELSE 0 END)
FROM model_calls
GROUP BY tenant_id, created_at / 86400000000, model, actor_id, COALESCE(route, ''),
    CASE WHEN cost_micros IS NULL THEN '' ELSE COALESCE(cost_currency, '') END;

-- What a workspace keeps of what models are asked and answer; no row: nothing.
CREATE TABLE model_capture (
    tenant_id TEXT NOT NULL,
    -- As JSON: nothing of it is searched for.
    settings TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id)
);

-- What a call asked and was answered, redacted and then sealed under the tenant's data key.
CREATE TABLE model_call_payloads (
    tenant_id TEXT NOT NULL,
    call_id TEXT NOT NULL,
    -- NULL when it is not kept, or there was none.
    request_sealed BLOB,
    answer_sealed BLOB,
    -- 1: a part was too long and is left out.
    request_truncated BIGINT NOT NULL,
    answer_truncated BIGINT NOT NULL,
    -- The call's.
    created_at BIGINT NOT NULL,
    -- From then on it is not shown, and soon removed.
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, call_id)
);
CREATE INDEX model_call_payloads_by_end ON model_call_payloads (expires_at);
