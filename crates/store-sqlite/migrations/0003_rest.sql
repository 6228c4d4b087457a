-- What types of a business's own, and an audit log that is read, need.

-- Fields whose lookup entries are still to be gone through: first those that may be stale are wiped (0 none, 1 those
-- of records without a value, 2 all), then every record after `after` is entered.
CREATE TABLE index_build (
    business INTEGER NOT NULL,
    type     TEXT NOT NULL,
    field    TEXT NOT NULL,
    wipe     INTEGER NOT NULL,
    after    BLOB NOT NULL DEFAULT x'',
    PRIMARY KEY (business, type, field)
) WITHOUT ROWID;

-- Whose business an audit entry concerns, so that those of one business are read without the others. Entries from
-- before stand for none.
ALTER TABLE audit ADD COLUMN business TEXT;
CREATE INDEX audit_business ON audit (business, row) WHERE business IS NOT NULL;
