-- Documents that people write. What the newest revision says of itself is repeated here, for lists.
CREATE TABLE content_documents (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    -- draft.
    state TEXT NOT NULL,
    title TEXT NOT NULL,
    -- The beginning of the newest body, without Markdown.
    excerpt TEXT NOT NULL,
    -- The number of the newest revision; an edit moves it on if it is what the editor has seen.
    revision BIGINT NOT NULL,
    -- What a generated document was asked to be, from which collection and by which model call; NULL for others.
    brief TEXT,
    collection_id TEXT,
    call_id TEXT,
    created_at BIGINT NOT NULL,
    -- {"kind","id"} as JSON.
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    -- A deleted document is hidden at once; its rows go some days later.
    deleted_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX content_documents_deleted ON content_documents (deleted_at);

-- What a document was. Revisions never change.
CREATE TABLE content_revisions (
    tenant_id TEXT NOT NULL,
    document_id TEXT NOT NULL,
    -- From 1.
    number BIGINT NOT NULL,
    -- generated, created, edited or restored.
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    -- Markdown.
    body TEXT NOT NULL,
    note TEXT,
    call_id TEXT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (tenant_id, document_id, number)
);

-- Which statement of a revision's body rests on which place of which passage. Offsets are code points. Title and quote are
-- copies: the source may be changed or deleted later.
CREATE TABLE content_citations (
    tenant_id TEXT NOT NULL,
    document_id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    -- Place in the list, from 0.
    ordinal BIGINT NOT NULL,
    -- The number in the text's marks, as in [1].
    number BIGINT NOT NULL,
    passage_id TEXT NOT NULL,
    source_document_id TEXT NOT NULL,
    collection_id TEXT NOT NULL,
    title TEXT NOT NULL,
    quote TEXT NOT NULL,
    quote_start BIGINT NOT NULL,
    quote_end BIGINT NOT NULL,
    body_start BIGINT NOT NULL,
    body_end BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, document_id, revision, ordinal)
);
