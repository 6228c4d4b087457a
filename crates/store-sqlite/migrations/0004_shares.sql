-- What shares keep: what remote objects are known to hold, and what is still to be done.

CREATE TABLE shadow (
    business   INTEGER NOT NULL,
    connection BLOB NOT NULL,
    slot       TEXT NOT NULL,
    id         TEXT NOT NULL,
    body       BLOB NOT NULL,
    PRIMARY KEY (business, connection, slot, id)
) WITHOUT ROWID;

-- Kinds: 1 progress of a share, 2 runs, 3 problems, 4 hints of inbound hooks, 5 pushes that wait.
CREATE TABLE work (
    business INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    share    BLOB NOT NULL,
    about    TEXT NOT NULL,
    body     BLOB NOT NULL,
    PRIMARY KEY (business, kind, share, about)
) WITHOUT ROWID;
