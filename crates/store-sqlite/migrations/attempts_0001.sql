-- The attempt log: a file of its own, outside every promise. It may be deleted while the server is stopped.

-- Successes, many to a row.
CREATE TABLE success (
    row  INTEGER PRIMARY KEY AUTOINCREMENT,
    at   INTEGER NOT NULL,
    body BLOB NOT NULL
);

CREATE TABLE failure (
    row          INTEGER PRIMARY KEY AUTOINCREMENT,
    subscription BLOB NOT NULL,
    business     TEXT NOT NULL,
    at           INTEGER NOT NULL,
    body         BLOB NOT NULL
);
CREATE INDEX failure_subscription ON failure (subscription, business, row);
