-- How a collection's results are ranked where a request does not say, as a JSON object; what is absent is as the program has it.
ALTER TABLE collections ADD COLUMN ranking TEXT NOT NULL DEFAULT '{}';
