-- Which of a collection's vectors are searched. Each change of the embedding model makes a new generation of vectors beside the old one
-- and then, in one transaction, this number and `embedding_model` change. Folders of vectors in data directories are named by it.
ALTER TABLE collections ADD COLUMN embedding_generation BIGINT NOT NULL DEFAULT 0;
-- The last number given away: that of a generation that was given up is not used again.
ALTER TABLE collections ADD COLUMN embedding_generation_last BIGINT NOT NULL DEFAULT 0;

-- The generation of `embedding`, and what the vector was made of: SHA-256 of the model and the text that it read, in hexadecimal.
ALTER TABLE passages ADD COLUMN embedding_generation BIGINT NOT NULL DEFAULT 0;
ALTER TABLE passages ADD COLUMN input_hash TEXT;
-- The same of another generation: of the coming one while a collection is embedded anew, and of the present one until a background step
-- has moved it to `embedding`.
ALTER TABLE passages ADD COLUMN next_embedding BLOB;
ALTER TABLE passages ADD COLUMN next_generation BIGINT;
ALTER TABLE passages ADD COLUMN next_input_hash TEXT;
CREATE INDEX passages_by_input ON passages (tenant_id, input_hash) WHERE input_hash IS NOT NULL;

-- The version all of whose passages have a vector of `reembedded_generation` in `next_embedding`.
ALTER TABLE knowledge_documents ADD COLUMN reembedded_version BIGINT;
ALTER TABLE knowledge_documents ADD COLUMN reembedded_generation BIGINT;

-- Changes of embedding models, finished or not.
CREATE TABLE collection_reembeddings (
    tenant_id TEXT NOT NULL,
    collection_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    model TEXT NOT NULL,
    -- running, done, failed or cancelled.
    state TEXT NOT NULL,
    -- Numbers in a vector: known from the first one on.
    dimensions BIGINT,
    -- Passages.
    done BIGINT NOT NULL DEFAULT 0,
    error_reason TEXT,
    error_detail TEXT,
    error_remedy TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (tenant_id, collection_id, generation)
);
-- One at a time for a collection.
CREATE UNIQUE INDEX collection_reembeddings_running ON collection_reembeddings (tenant_id, collection_id) WHERE state = 'running';
