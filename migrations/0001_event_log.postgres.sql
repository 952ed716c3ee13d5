-- Lets the portable migrations say BLOB.
CREATE DOMAIN blob AS bytea;

-- The event log: CloudEvents records written in the transaction of the change they tell of.
CREATE TABLE events (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Readers order by (transaction_id, sequence) and stop before the oldest transaction that still runs: the identity
    -- alone would let them step over a row whose transaction commits later.
    transaction_id BIGINT NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    tenant_id TEXT COLLATE "C",
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    type TEXT COLLATE "C" NOT NULL,
    subject TEXT NOT NULL,
    actor TEXT NOT NULL,
    request_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX events_in_order ON events (transaction_id, sequence);
CREATE INDEX events_by_tenant ON events (tenant_id, transaction_id, sequence);
CREATE INDEX events_by_type ON events (tenant_id, type, transaction_id, sequence);

-- How far each durable consumer has read.
CREATE TABLE event_consumers (
    name TEXT PRIMARY KEY,
    transaction_id BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- One data key for each tenant, wrapped by the installation's master key. Deleting the row erases the tenant's secrets.
CREATE TABLE tenant_keys (
    tenant_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    wrapped BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, version)
);
