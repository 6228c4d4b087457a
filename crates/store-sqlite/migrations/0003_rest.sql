-- Whose business an audit entry concerns, so that those of one business are read without the others. Entries from
-- before stand for none.
ALTER TABLE audit ADD COLUMN business TEXT;
CREATE INDEX audit_business ON audit (business, row) WHERE business IS NOT NULL;
