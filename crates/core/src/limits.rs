//! Every limit of Lockstep: its name, its unit and why it stands where it does.
//!
//! Reaching one gives a clear error or back-pressure, never a crash or unbounded memory (P11).

/// One record's body, in bytes. Business records are kilobytes; a megabyte holds the longest note.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;
/// A control call's body, in bytes.
pub const CONTROL_BYTES_MAX: usize = 256 * 1024;
/// A `string` value, in bytes; longer text belongs in a `text` field.
pub const STRING_BYTES_MAX: usize = 8 * 1024;
/// Members of a list or set.
pub const LIST_ITEMS_MAX: usize = 10_000;
/// Nesting of an `object` value.
pub const OBJECT_DEPTH_MAX: usize = 32;
/// An external id's id, realm or object, in bytes.
pub const EXTERNAL_ID_BYTES_MAX: usize = 255;
/// External ids of one record: one per application and realm is the rule, so hundreds mean a loop.
pub const EXTERNAL_IDS_MAX: usize = 500;
/// A value that records are looked up by, in bytes; longer ones are cut and compared in full where they are found.
pub const LOOKUP_BYTES_MAX: usize = 255;
/// Records loaded for one value that is matched on: more than one is ambiguous already, and they are named.
pub const MATCHES_MAX: usize = 10;
/// Match groups of one call.
pub const MATCH_GROUPS_MAX: usize = 8;
/// Types that a business defines or changes.
pub const TYPES_MAX: usize = 200;
/// Fields of one type.
pub const FIELDS_MAX: usize = 500;
/// Fields of one type that records are looked up by: each costs a row a record.
pub const INDEXED_FIELDS_MAX: usize = 32;
/// Values of one enum field.
pub const ENUM_WORDS_MAX: usize = 500;
/// Records that are entered in an index, or entries that are taken out, in one transaction.
pub const INDEXED_A_TURN: usize = 500;
/// Turns of index building that the call which asked for it waits for; the sweeper goes on with the rest.
pub const INDEX_TURNS_WAITED: usize = 40;
/// Records named in a refusal for what they hold.
pub const RECORDS_NAMED_MAX: usize = 10;
/// Filters of one query.
pub const FILTERS_MAX: usize = 20;
/// Values of one filter.
pub const FILTER_VALUES_MAX: usize = 100;
/// Records that one request of a query looks at; over it the page is short, and its cursor goes on.
pub const QUERY_CANDIDATES_MAX: usize = 10_000;
/// Records of a type up to which a query needs no index.
pub const UNINDEXED_RECORDS_MAX: u64 = 10_000;
/// Records of a query's page where nothing is said.
pub const QUERY_ROWS: usize = 50;
/// An idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// How long an idempotency key is remembered, in milliseconds (24 h).
pub const IDEMPOTENCY_KEPT_MS: i64 = 24 * 3_600_000;
/// How long a failed or unchanged operation can be read, in milliseconds (30 days).
pub const OPERATION_KEPT_MS: i64 = 30 * 24 * 3_600_000;
/// How long a commit id is remembered, in milliseconds (10 min).
pub const COMMIT_ID_KEPT_MS: i64 = 10 * 60_000;
/// How long attempts are kept, in milliseconds (14 days).
pub const ATTEMPT_KEPT_MS: i64 = 14 * 24 * 3_600_000;

/// Questions one command may ask the store before it is decided.
pub const DECIDE_ROUNDS_MAX: usize = 8;
/// Commands that one commit takes.
pub const COMMIT_COMMANDS_MAX: usize = 2_000;
/// Bytes of commands that one commit takes.
pub const COMMIT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Commits that may wait for the writer; over it the answer is `busy`.
pub const WRITER_QUEUE_MAX: usize = 8_192;
/// Bytes of commands that may wait for the writer.
pub const WRITER_QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Age of the oldest waiting commit at which new ones are refused, in milliseconds.
pub const WRITER_QUEUE_AGE_MS_MAX: u64 = 5_000;
/// Seconds that a `busy` answer asks the caller to wait.
pub const BUSY_RETRY_AFTER_S: u64 = 1;
/// WAL size at which the checkpointer copies it back, in bytes.
pub const WAL_CHECKPOINT_BYTES: u64 = 4 * 1024 * 1024;
/// WAL size at which the writer itself stops to empty it, in bytes.
pub const WAL_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Free disk below which commands are refused, in bytes; settles still go on.
pub const DISK_FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// Longest that settled work waits for a commit to ride on, in milliseconds.
pub const SETTLE_WAIT_MS: u64 = 100;
/// Recent changes kept decoded for readers at the tail, in bytes of their stored form.
pub const RECENT_CHANGES_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Recent changes kept decoded, in number.
pub const RECENT_CHANGES_MAX: usize = 8_192;

/// Lines of an upload that are committed together.
pub const UPLOAD_BATCH_LINES: usize = 500;
/// Bytes of an upload's lines after which they are committed.
pub const UPLOAD_BATCH_BYTES: usize = 2 * 1024 * 1024;
/// Uploads at the same time; each holds two batches.
pub const UPLOADS_MAX: usize = 32;
/// Time in which the next bytes of an upload must come, in milliseconds.
pub const UPLOAD_READ_MS_MAX: u64 = 30_000;

/// Changes of an erased record that are blanked in one transaction.
pub const ERASED_CHANGES_A_TURN: usize = 500;
/// Notices, and operations, that are looked through for an erased record in one transaction.
pub const ERASED_ROWS_A_TURN: usize = 2_000;
/// Turns of blanking that the erasing call itself waits for; the sweeper goes on with the rest.
pub const ERASE_TURNS_WAITED: usize = 8;
/// How long history is held for an outlet that still needs it, beyond its own time, in seconds (30 days).
pub const CURSOR_HELD_S: u64 = 30 * 24 * 3_600;
/// The least time that history can be kept, in seconds (an hour): less is a slip of the pen.
pub const HISTORY_KEPT_S_MIN: u64 = 3_600;
/// Changes that are pruned in one transaction.
pub const PRUNED_CHANGES_A_TURN: usize = 2_000;
/// Turns of pruning or blanking in one sweep, so that other work has its share.
pub const SWEEP_TURNS_MAX: usize = 50;

/// Changes in one page of the log.
pub const PAGE_CHANGES_MAX: usize = 256;
/// Bytes after which a page of the log ends.
pub const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Rows of one page of settings, notices or lists.
pub const PAGE_ROWS_MAX: usize = 500;

/// Lines of an upload that are undone in one commit.
pub const ROLLBACK_BATCH: u64 = 500;
/// Records that a rollback lists as left as they are.
pub const KEPT_SHOWN_MAX: usize = 100;

/// Changes in one answer of the feed.
pub const FEED_PAGE_CHANGES_MAX: usize = 1_000;
/// Changes in one answer of the feed where nothing is said.
pub const FEED_PAGE_CHANGES: usize = 100;
/// Changes that one request of the feed looks through; what it has found by then is its answer.
pub const FEED_EXAMINED_MAX: usize = 10_000;
/// Longest that an empty page of the feed is waited for, in milliseconds.
pub const FEED_WAIT_MS_MAX: u64 = 60_000;
/// Time after which a stream with nothing to say says so, in milliseconds.
pub const FEED_HEARTBEAT_MS: u64 = 15_000;
/// Newest events kept for all who see the same, in bytes; who is further behind reads the store.
pub const FEED_RING_BYTES_MAX: usize = 1024 * 1024;
/// The same in pages.
pub const FEED_RING_CHUNKS_MAX: usize = 256;
/// Streams that read the store at the same time.
pub const FEED_READS_MAX: usize = 16;

/// Reads that may wait for a reading thread.
pub const READS_WAITING_MAX: usize = 1_024;
/// Batches of attempts that may wait to be logged; over it they are dropped.
pub const ATTEMPT_BATCHES_MAX: usize = 64;

/// Changes one lane holds before it leaves the tail and catches up by itself.
pub const LANE_ITEMS_MAX: usize = 256;
/// Changes all lanes hold together.
pub const ALL_LANES_ITEMS_MAX: usize = 100_000;
/// Bytes of changes that lanes keep decoded; what is over it is read again when it is sent.
pub const HELD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Lanes that read pages of their own at the same time.
pub const CATCH_UPS_MAX: usize = 4;
/// Deliveries under way in all.
pub const DELIVERIES_MAX: usize = 512;
/// Deliveries under way to one endpoint.
pub const ENDPOINT_DELIVERIES_MAX: usize = 32;
/// One delivery's time, in milliseconds.
pub const DELIVERY_TIMEOUT_MS: u64 = 20_000;
/// Response head and body kept of a failed attempt, in bytes.
pub const RESPONSE_KEPT_BYTES_MAX: usize = 4 * 1024;
/// Failures of different records, without a success between, that close an endpoint's gate.
pub const GATE_FAILURES: usize = 10;
/// Shortest time between tries of a parked record that newer changes of it bring forward, in milliseconds.
pub const PARKED_HURRY_MS: u64 = 5_000;
/// Parked records of one subscription at which its gate closes.
pub const PARKED_MAX: usize = 1_000;
/// First wait of a closed gate before a probe, in milliseconds.
pub const PROBE_FIRST_MS: u64 = 5_000;
/// Longest wait between probes, in milliseconds.
pub const PROBE_LAST_MS: u64 = 300_000;
/// First wait after a throttling answer without `Retry-After`, in milliseconds.
pub const THROTTLE_FIRST_MS: u64 = 1_000;
/// Longest `Retry-After` obeyed, in milliseconds.
pub const RETRY_AFTER_MS_MAX: u64 = 3_600_000;
/// How long an endpoint is down before its owner is warned, in milliseconds (1 day).
pub const WARN_AFTER_MS: u64 = 24 * 3_600_000;
/// How long an endpoint is down before its subscription is paused, in milliseconds (5 days).
pub const PAUSE_AFTER_MS: u64 = 5 * 24 * 3_600_000;
/// Tries of one alert to the operator's URL.
pub const ALERT_TRIES_MAX: u32 = 5;
/// Alerts under way at once; over it they are logged alone.
pub const ALERTS_MAX: usize = 64;
/// Dead letters kept of one subscription; the oldest go first.
pub const DEAD_LETTERS_MAX: usize = 10_000;
/// Changes in one batch.
pub const BATCH_RECORDS_MAX: usize = 500;
/// Longest that the first change of a batch waits for others, in milliseconds.
pub const BATCH_WAIT_MS_MAX: u64 = 60_000;
/// How long it waits where nothing is said, in milliseconds.
pub const BATCH_WAIT_MS: u64 = 1_000;
/// The body of a batch, in bytes; one that would be longer goes as two.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Notices waiting for one subscription; over it the oldest operation notices are dropped and counted.
pub const NOTICES_MAX: usize = 10_000;
/// Newest attempts of a subscription that are looked through for those asked for.
pub const ATTEMPTS_LOOKED_THROUGH: usize = 2_000;
/// Attempts held in memory before they are written.
pub const ATTEMPTS_HELD_MAX: usize = 2_000;

/// Subscriptions of one business.
pub const SUBSCRIPTIONS_MAX: usize = 20_000;
/// Members of a subscription's or grant's list.
pub const SCOPE_ITEMS_MAX: usize = 1_000;
/// Secrets of one subscription that sign at the same time.
pub const SECRETS_MAX: usize = 5;
/// How long a rotated secret goes on signing beside the new one, in milliseconds (24 h).
pub const SECRET_OVERLAP_MS: i64 = 24 * 3_600_000;
/// Calls of one credential, and requests to one endpoint, that a rate limit can name, a second.
pub const CALLS_A_SECOND_MAX: u32 = 10_000;
/// Credentials whose calls are counted at the same time; over it those that called longest ago are counted anew.
pub const CREDENTIALS_COUNTED_MAX: usize = 10_000;
/// Tokens of one application, with those that have ended and are still listed.
pub const TOKENS_MAX: usize = 2_000;
/// Tokens that one is made from, each of the one before.
pub const TOKEN_PARENTS_MAX: usize = 8;
/// How long a token that has ended is still listed, in milliseconds (7 days); after that it makes room for new ones.
pub const TOKEN_LISTED_MS: i64 = 7 * 24 * 3_600_000;
/// Changes of a record that one page of its history looks through for those that its reader may see.
pub const HISTORY_LOOKED_THROUGH: usize = 2_000;
/// A label, in bytes.
pub const LABEL_BYTES_MAX: usize = 200;
/// A URL, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;
/// A condition, in bytes.
pub const CONDITION_BYTES_MAX: usize = 4 * 1024;

/// Write-ahead log, in bytes, at which a backup's copy is given up: it cannot be emptied while it is read.
pub const SNAPSHOT_WAL_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Pieces of a backup, of 64 KiB, that wait for a slow caller.
pub const BACKUP_PIECES_MAX: usize = 16;
/// How long a backup waits for a caller that takes nothing, in milliseconds.
pub const BACKUP_STALL_MS_MAX: u64 = 60_000;
/// Headers of a subscription's own.
pub const OWN_HEADERS_MAX: usize = 20;
/// Names and values of a subscription's own headers together, in bytes; servers take 8 KiB of head as a rule.
pub const OWN_HEADERS_BYTES_MAX: usize = 4 * 1024;
/// One header as a template renders it, in bytes.
pub const HEADER_VALUE_BYTES_MAX: usize = 4 * 1024;
/// A body as a template renders it, in bytes: twice the largest record.
pub const LETTER_BYTES_MAX: usize = 2 * 1024 * 1024;
/// A secret, a token or a key that a subscription proves itself with, in bytes.
pub const CREDENTIAL_BYTES_MAX: usize = 16 * 1024;
/// Time to fetch a token, in milliseconds.
pub const TOKEN_TIMEOUT_MS: u64 = 10_000;
/// A token endpoint's answer, in bytes.
pub const TOKEN_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long a token is used whose server does not say how long it lives, in milliseconds.
pub const TOKEN_LIFE_MS: u64 = 3_600_000;
/// Longest that a token is used, whatever its server says, in milliseconds (1 day).
pub const TOKEN_LIFE_MS_MAX: u64 = 24 * 3_600_000;

/// Connections at once; over it new ones wait to be taken.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Time for a TLS handshake, in milliseconds.
pub const TLS_HANDSHAKE_MS_MAX: u64 = 10_000;
/// Time in which a request's head and body must arrive, in milliseconds.
pub const REQUEST_READ_MS_MAX: u64 = 30_000;
/// Time that a stopping server gives to requests and deliveries under way, in milliseconds.
pub const DRAIN_MS_MAX: u64 = 10_000;

/// Connectors in the operator's folder.
pub const CONNECTORS_MAX: usize = 500;
/// One file of a connector, in bytes; the longest manifests of the ecosystem are a tenth of it.
pub const CONNECTOR_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How long the operator's folder of connectors is not looked at again, in milliseconds.
pub const CONNECTORS_LOOKED_AT_MS: u64 = 1_000;
/// Connections of one business.
pub const CONNECTIONS_OF_A_BUSINESS_MAX: usize = 500;
/// Shares of one business.
pub const SHARES_MAX: usize = 1_000;
/// Longest that a share's pull may come later than its schedule says, in seconds (a day).
pub const JITTER_S_MAX: u32 = 86_400;
/// Time in which somebody who was sent to a platform to log in must come back, in milliseconds (10 min).
pub const LOGIN_MS_MAX: i64 = 10 * 60_000;
/// Problems that one call replays or dismisses.
pub const PROBLEMS_AT_ONCE_MAX: usize = 1_000;
/// Problems that one call looks through for those asked for.
pub const PROBLEMS_LOOKED_THROUGH: usize = 10_000;
/// Runs of one share that are looked through for a list of the newest.
pub const RUNS_LOOKED_THROUGH: usize = 5_000;
/// How long a trial of a configuration may take, in milliseconds.
pub const CONNECTION_TEST_MS_MAX: u64 = 30_000;

/// The body of a platform's hook, in bytes: some send lists of objects.
pub const HOOK_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Runs kept of one share; the oldest go.
pub const RUNS_KEPT: usize = 200;
/// Orders that wait for one connection's worker; where one finds no room, the rows of hints are read anew.
pub const ORDERS_MAX: usize = 10_000;
/// The first wait of a share whose work fails as a whole, in milliseconds; doubled each time.
pub const SHARE_RETRY_FIRST_MS: u64 = 1_000;
/// The longest of these waits, in milliseconds (5 min).
pub const SHARE_RETRY_LAST_MS: u64 = 300_000;
/// How long until a reference to an object that nobody knows is looked at again, in milliseconds (30 s).
pub const UNRESOLVED_FIRST_MS: u64 = 30_000;
/// The longest of these waits, in milliseconds (a day).
pub const UNRESOLVED_LAST_MS: u64 = 86_400_000;
/// How long a share fails before its owner is told, in milliseconds (5 min).
pub const SHARE_TOLD_AFTER_MS: u64 = 300_000;
