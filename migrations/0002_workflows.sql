-- The durable queue. A job of the installation itself (a schedule's) has the tenant_id 'installation'.
CREATE TABLE jobs (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    queue TEXT NOT NULL,
    -- The step, as JSON.
    payload TEXT NOT NULL,
    -- The id of the thing that the job works on, for people.
    subject TEXT NOT NULL,
    -- queued, running, succeeded or failed.
    state TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    max_attempts BIGINT NOT NULL,
    -- Not before this time; moves into the future between attempts.
    run_at BIGINT NOT NULL,
    -- The worker that runs it, and until when it may be silent before another takes over.
    lease_owner TEXT,
    lease_until BIGINT,
    -- 1 when the attempt before ended without a word.
    worker_lost BIGINT NOT NULL DEFAULT 0,
    progress_done BIGINT,
    progress_total BIGINT,
    error_reason TEXT,
    error_detail TEXT,
    request_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX jobs_due ON jobs (queue, state, run_at);
CREATE INDEX jobs_by_state ON jobs (tenant_id, state, id);
CREATE INDEX jobs_by_subject ON jobs (tenant_id, subject);

-- When each repeated duty runs next. Whoever moves next_at first enqueues the job.
CREATE TABLE schedules (
    name TEXT PRIMARY KEY,
    next_at BIGINT NOT NULL
);
