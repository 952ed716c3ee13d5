-- The share of the truly nearest passages that a search by meaning is to find.
ALTER TABLE collections ADD COLUMN recall_target DOUBLE PRECISION NOT NULL DEFAULT 0.99;

-- Words of the live version's passages as the text index counts them, so that a collection is opened without reading passages.
ALTER TABLE knowledge_documents ADD COLUMN word_count BIGINT NOT NULL DEFAULT 0;
UPDATE knowledge_documents SET word_count = (
    SELECT CAST(COALESCE(SUM(p.word_count), 0) AS BIGINT) FROM passages p
    WHERE p.tenant_id = knowledge_documents.tenant_id AND p.document_id = knowledge_documents.id
      AND p.version = knowledge_documents.live_version)
WHERE live_version IS NOT NULL;
