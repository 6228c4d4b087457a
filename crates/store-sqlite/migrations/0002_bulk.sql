-- What matching, scans, uploads, retention and erasure need.

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

-- Endpoints that are down: since when, and whether their owners have been warned.
CREATE TABLE gate (
    business     INTEGER NOT NULL,
    subscription BLOB NOT NULL,
    body         BLOB NOT NULL,
    PRIMARY KEY (business, subscription)
) WITHOUT ROWID;

-- The newest change of a business that is kept no more, with all before it; 0 where all are kept.
ALTER TABLE business ADD COLUMN floor INTEGER NOT NULL DEFAULT 0;

-- Erased records whose changes are still to be blanked, from `seq` back along the chain.
CREATE TABLE erasure (
    row      INTEGER PRIMARY KEY AUTOINCREMENT,
    business INTEGER NOT NULL,
    type     TEXT NOT NULL,
    record   BLOB NOT NULL,
    seq      INTEGER NOT NULL,
    -- How far notices and operations have been looked through.
    notice    INTEGER NOT NULL DEFAULT 0,
    operation BLOB NOT NULL DEFAULT x''
);
CREATE INDEX dead_letter_seq ON dead_letter (business, seq);
CREATE INDEX parked_record ON parked (business, record);
