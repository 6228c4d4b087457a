-- What types of a business's own need.

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
