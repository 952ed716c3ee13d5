-- The language that a collection's documents are taken for when their own cannot be told; NULL: English.
ALTER TABLE collections ADD COLUMN language TEXT;
-- By which the text index compares the words of a version: given with the document, or found when it was read; empty before that.
-- Versions that were read before this column existed were compared as English ones.
ALTER TABLE knowledge_versions ADD COLUMN language TEXT NOT NULL DEFAULT 'en';

-- A collection's synonyms, applied to queries. A row is written whole.
CREATE TABLE collection_synonyms (
    tenant_id TEXT NOT NULL,
    collection_id TEXT NOT NULL,
    -- {"sets": [["tv", "television"]], "one_way": [{"from": "car", "to": ["vehicle"]}]}
    synonyms TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, collection_id)
);
