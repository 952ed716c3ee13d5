-- The types of metadata fields that a collection declares: a JSON object of {"type": …} by name. And how many of its documents
-- are restricted, so that whoever counts knows whether to look for them.
ALTER TABLE collections ADD COLUMN fields TEXT NOT NULL DEFAULT '{}';
ALTER TABLE collections ADD COLUMN restricted_count BIGINT NOT NULL DEFAULT 0;

-- Who may see a document: a JSON object of users and teams as it is shown. NULL: everybody who may search.
ALTER TABLE knowledge_documents ADD COLUMN access TEXT;
CREATE INDEX knowledge_documents_restricted ON knowledge_documents (tenant_id, collection_id, id) WHERE access IS NOT NULL;

-- The same for conditions of queries: the ids of the users and teams, a row each.
CREATE TABLE knowledge_document_readers (
    tenant_id TEXT NOT NULL,
    document_id TEXT NOT NULL,
    reader TEXT NOT NULL,
    PRIMARY KEY (tenant_id, document_id, reader)
);
