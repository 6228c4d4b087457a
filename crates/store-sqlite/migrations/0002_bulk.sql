-- What matching, scans and uploads need.

-- Where living records with a value are found: one row for each match field of a record. The value is its canonical
-- text, cut; what is found is compared in full.
CREATE TABLE lookup (
    business INTEGER NOT NULL,
    type     TEXT NOT NULL,
    field    TEXT NOT NULL,
    value    BLOB NOT NULL,
    record   BLOB NOT NULL,
    PRIMARY KEY (business, type, field, value, record)
) WITHOUT ROWID;

-- Walks over many records or changes, each for one subscription, with how far it has come.
CREATE TABLE scan (
    row          INTEGER PRIMARY KEY AUTOINCREMENT,
    operation    BLOB NOT NULL,
    subscription BLOB NOT NULL,
    body         BLOB NOT NULL
);
CREATE UNIQUE INDEX scan_key ON scan (operation, subscription);
CREATE INDEX scan_subscription ON scan (subscription);

-- What became of an upload's lines, a batch to a row.
CREATE TABLE outcome (
    row       INTEGER PRIMARY KEY,
    business  INTEGER NOT NULL,
    operation BLOB NOT NULL,
    -- The last line in the row.
    last      INTEGER NOT NULL,
    body      BLOB NOT NULL
);
CREATE UNIQUE INDEX outcome_key ON outcome (business, operation, last);
