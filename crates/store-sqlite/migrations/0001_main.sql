-- The main store. Every value in `body` is a format number and JSON; see lockstep-store's codec.
-- Ids of ours are 16 bytes, big end first. `business` is the number of a row in `business`.

CREATE TABLE business (
    number   INTEGER PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,
    epoch    INTEGER NOT NULL DEFAULT 1,
    head     INTEGER NOT NULL DEFAULT 0,
    last_at  INTEGER NOT NULL DEFAULT 0,
    -- Up to where every lane without a row of its own is settled.
    position INTEGER
);

-- The log. The key is business << 40 | seq, so a business's changes lie together and in order, a page is one
-- range of the table itself, and retention is one range delete.
CREATE TABLE change (
    key  INTEGER PRIMARY KEY,
    body BLOB NOT NULL
);

-- An ordinary table with an index, not one clustered by its key: 600-byte rows in an index tree cost four times
-- the page writes.
CREATE TABLE record (
    row      INTEGER PRIMARY KEY,
    business INTEGER NOT NULL,
    type     TEXT NOT NULL,
    id       BLOB NOT NULL,
    body     BLOB NOT NULL
);
CREATE UNIQUE INDEX record_key ON record (business, type, id);

CREATE TABLE external_id (
    business INTEGER NOT NULL,
    provider TEXT NOT NULL,
    realm    TEXT NOT NULL,
    object   TEXT NOT NULL,
    id       TEXT NOT NULL,
    type     TEXT NOT NULL,
    record   BLOB NOT NULL,
    PRIMARY KEY (business, provider, realm, object, id)
) WITHOUT ROWID;

CREATE TABLE record_count (
    business INTEGER NOT NULL,
    type     TEXT NOT NULL,
    living   INTEGER NOT NULL,
    deleted  INTEGER NOT NULL,
    PRIMARY KEY (business, type)
) WITHOUT ROWID;

-- Rows come in the order of their expiry, so the sweep reads only the front.
CREATE TABLE idempotency (
    row        INTEGER PRIMARY KEY,
    business   INTEGER NOT NULL,
    key        BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    body       BLOB NOT NULL,
    UNIQUE (business, key)
);

CREATE TABLE operation (
    business INTEGER NOT NULL,
    id       BLOB NOT NULL,
    body     BLOB NOT NULL,
    PRIMARY KEY (business, id)
) WITHOUT ROWID;

CREATE TABLE notice (
    row          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           BLOB NOT NULL,
    subscription BLOB NOT NULL,
    body         BLOB NOT NULL
);
CREATE INDEX notice_id ON notice (id);
CREATE INDEX notice_subscription ON notice (subscription);

-- Lanes that owe something; the others stand at their business's position.
CREATE TABLE lane (
    business     INTEGER NOT NULL,
    subscription BLOB NOT NULL,
    cursor       INTEGER NOT NULL,
    PRIMARY KEY (business, subscription)
) WITHOUT ROWID;

CREATE TABLE parked (
    business     INTEGER NOT NULL,
    subscription BLOB NOT NULL,
    record       BLOB NOT NULL,
    body         BLOB NOT NULL,
    PRIMARY KEY (business, subscription, record)
) WITHOUT ROWID;

CREATE TABLE dead_letter (
    business     INTEGER NOT NULL,
    subscription BLOB NOT NULL,
    seq          INTEGER NOT NULL,
    body         BLOB NOT NULL,
    PRIMARY KEY (business, subscription, seq)
) WITHOUT ROWID;

CREATE TABLE setting (
    kind    TEXT NOT NULL,
    id      TEXT NOT NULL,
    version INTEGER NOT NULL UNIQUE,
    body    BLOB,
    PRIMARY KEY (kind, id)
);

CREATE TABLE audit (
    row  INTEGER PRIMARY KEY AUTOINCREMENT,
    at   INTEGER NOT NULL,
    body BLOB NOT NULL
);

-- Commits that named themselves, so that one sent again has effect once.
CREATE TABLE named_commit (
    id   BLOB PRIMARY KEY,
    at   INTEGER NOT NULL,
    body BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE lease (
    work  TEXT PRIMARY KEY,
    fence INTEGER NOT NULL,
    owner TEXT NOT NULL
) WITHOUT ROWID;
