-- From where the request came that an event tells of, as JSON; NULL for work that no request began.
ALTER TABLE events ADD COLUMN origin TEXT;

-- The key that signs checkpoints, one for the installation. Its private half is sealed.
CREATE TABLE audit_keys (
    number BIGINT PRIMARY KEY,
    -- What the names of all logs begin with.
    name TEXT NOT NULL,
    public_key BLOB NOT NULL,
    private_key_sealed BLOB NOT NULL,
    created_at BIGINT NOT NULL
);

-- The audit logs: one for each tenant, and that of the installation under ten_00000000000000000000000000. Each is an append-only Merkle
-- tree (RFC 9162) whose leaves are the hashes of its records.
CREATE TABLE audit_logs (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    -- Leaves.
    size BIGINT NOT NULL,
    -- Leaves under the newest checkpoint, and since when there are others (NULL when there are none).
    checkpoint_size BIGINT NOT NULL,
    unsigned_since BIGINT,
    -- Records before this leaf have been removed because of their age; their hashes stay.
    retained_from BIGINT NOT NULL,
    -- NULL: they are kept for ever.
    retention_days BIGINT
);

-- The records, in the canonical form that was hashed. `record` is without its personal data when `erased_by` names the record that
-- tells of it.
CREATE TABLE audit_records (
    tenant_id TEXT NOT NULL,
    leaf BIGINT NOT NULL,
    id TEXT NOT NULL,
    at BIGINT NOT NULL,
    erased_by TEXT,
    record TEXT NOT NULL,
    PRIMARY KEY (tenant_id, leaf)
);
CREATE UNIQUE INDEX audit_records_by_id ON audit_records (tenant_id, id);

-- The hashes of the tree: 256 of a level in a row, 32 bytes each, those of leaves at level 0, those of full rows of a level at the next
-- (C2SP tlog-tiles).
CREATE TABLE audit_tiles (
    tenant_id TEXT NOT NULL,
    level BIGINT NOT NULL,
    tile BIGINT NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (tenant_id, level, tile)
);

-- What 256 records can be found by: the range of their times and a Bloom filter of their words.
CREATE TABLE audit_blocks (
    tenant_id TEXT NOT NULL,
    block BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    words BLOB NOT NULL,
    PRIMARY KEY (tenant_id, block)
);

-- Signed notes (C2SP tlog-checkpoint).
CREATE TABLE audit_checkpoints (
    tenant_id TEXT NOT NULL,
    size BIGINT NOT NULL,
    note TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, size)
);

-- Places to which checkpoints are anchored or records are exported.
CREATE TABLE audit_sinks (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The kind and where it is, as JSON; what is secret of it is sealed.
    target TEXT NOT NULL,
    secret_sealed BLOB,
    enabled BIGINT NOT NULL,
    -- 1 when checkpoints are sent, 0 when records are.
    anchors BIGINT NOT NULL,
    -- 1 when it may reach addresses of private networks: an operator of the installation made it.
    private_network BIGINT NOT NULL,
    -- The next leaf to send, or the size of the newest checkpoint that was sent.
    next_leaf BIGINT NOT NULL,
    -- Failures in a row.
    failures BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    -- Until when one process has taken it.
    lease_until BIGINT NOT NULL,
    delivered_at BIGINT,
    error TEXT,
    failed_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX audit_sinks_by_name ON audit_sinks (tenant_id, name);
