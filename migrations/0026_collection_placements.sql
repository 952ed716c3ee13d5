-- Where a collection's vectors are, if they are or were elsewhere than in the processes' own indexes. A row stays once it is there, so
-- that a generation never comes twice.
CREATE TABLE collection_placements (
    tenant_id TEXT NOT NULL,
    collection_id TEXT NOT NULL,
    -- The place that answers searches. Each place has its own generation, and with it its own tables on the nodes.
    generation BIGINT NOT NULL,
    -- A JSON array of the nodes' names, and the number of shards; shard i is on the node i modulo their number. An empty array stands for
    -- the processes' own indexes.
    nodes TEXT NOT NULL,
    split BIGINT NOT NULL,
    -- The place to which the collection is being moved, if it is.
    target_generation BIGINT,
    target_nodes TEXT,
    target_split BIGINT,
    -- The newest generation that there ever was, given up ones included.
    last_generation BIGINT NOT NULL,
    -- Why the last move was given up.
    move_error TEXT,
    move_started_at BIGINT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, collection_id)
);
