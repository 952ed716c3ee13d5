-- The share of the truly nearest passages that a search by meaning is to find.
ALTER TABLE collections ADD COLUMN recall_target DOUBLE PRECISION NOT NULL DEFAULT 0.99;
