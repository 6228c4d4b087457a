//! Stores of formats once released stay openable: `tests/fixtures/format-N/lockstep.db` is what that format wrote.
//!
//! A fixture is never changed after its format's release. To make one for a new format, run the tests and copy what
//! `a_store_made_today_passes_for_its_fixture` leaves:
//! `cp target/tmp/format-4/lockstep.db crates/store-sqlite/tests/fixtures/format-4/`.
//! What a format brought is in the business `there`, so that what older ones hold stays as it was.

use crate::Folder;
use lockstep_core::change::{ChangeKind, Origin};
use lockstep_core::clock::Timestamp;
use lockstep_core::command::{Action, Command, Ending, Idempotency, Intake, Take, Target};
use lockstep_core::delivery::{DeadLetter, Down, NoticeBody, Parked};
use lockstep_core::error::{Code, Rejection};
use lockstep_core::external_id::ExternalId;
use lockstep_core::ids::{BusinessId, CommitId, ConnectionId, Provider, RecordId, ShareId, SubscriptionId};
use lockstep_core::kind::Kind;
use lockstep_core::operation::{Operation, OperationId, OperationState};
use lockstep_core::position::Position;
use lockstep_core::problem::{Problem, Subject};
use lockstep_core::rules::matching;
use lockstep_core::scan::{Over, Picked, Scan, ScanKey};
use lockstep_core::schema::Field;
use lockstep_core::schema::definition::TypeDefinition;
use lockstep_core::shadow::{Seen, ShadowKey};
use lockstep_core::subscription::StartAt;
use lockstep_core::work::{Progress, WorkKey, WorkKind, WorkPut, WorkRow};
use lockstep_store::contract::desk::{
    Desk, code_of, commit_to, contact, control, external, fields, key, seq_of, subscription,
};
use lockstep_store::index::Range;
use lockstep_store::prune::Prune;
use lockstep_store::settings::{Control, Expect, Put, Setting, SettingKey, SettingKind};
use lockstep_store::settle::{Fence, LaneStep, OutletSettle, Settle};
use lockstep_store::turn;
use lockstep_store::upload::{Batch, Line, LineOutcome};
use lockstep_store::{Commit, Work};
use serde_json::json;
use std::fs;
use std::path::Path;

const ANN: RecordId = RecordId(0xa11);
const BOB: RecordId = RecordId(0xb0b);
const CAS: RecordId = RecordId(0xca5);
const EVE: RecordId = RecordId(0xe4e);
const UPLOAD: OperationId = OperationId::fresh(0xb01);
const SHARE: ShareId = ShareId(7);
const OWN: SubscriptionId = SubscriptionId(5);
const COMMIT: CommitId = CommitId(77);

fn parked() -> Parked {
    let reason = "500: out of order".to_owned();
    Parked {
        ty: contact(),
        record: ANN,
        first_seq: 2,
        attempt: 3,
        next_at: Timestamp(1_700_000_005_000),
        reason,
        is_alone: false,
    }
}

fn letter() -> DeadLetter {
    let reason = "timed out".to_owned();
    DeadLetter { seq: 1, ty: contact(), record: ANN, at: Timestamp(1_700_000_000_001), attempts: 10, reason }
}

fn keyed(command: Command) -> Command {
    Command { idempotency: Some(Idempotency { key: [7; 16], request: [8; 16] }), ..command }
}

fn named(desk: &Desk<'_>) -> Vec<Command> {
    vec![desk.updating(&desk.here, ANN, json!({"city": "Breda"}))]
}

fn down() -> Down {
    Down { since: Timestamp(1_700_000_000_000), is_warned: true }
}

fn scan(business: &BusinessId) -> Scan {
    let over = Over::Changes { until: 5, only: Picked { records: Some([CAS].into()), ..Picked::default() } };
    Scan {
        operation: OperationId::fresh(0x5ca),
        business: business.clone(),
        subscription: OWN,
        over,
        done: ScanKey::of_seq(3),
    }
}

fn outcome() -> LineOutcome {
    let rejection = Rejection::new(Code::InvalidJson, "no JSON");
    LineOutcome { line: 1, record: None, ending: Ending::Failed(rejection) }
}

/// Lookups, a pruned log, an erased record, an outcome, a scan, a closed gate.
async fn make_format_2(desk: &Desk<'_>) {
    let there = &desk.there;
    for (record, email) in [(EVE, "eve@example.com"), (CAS, "cas@example.com")] {
        let mut made = desk.creating(there, json!({"email": email}), None);
        made.fresh.record = record;
        desk.send(made).await;
        desk.update(there, record, json!({"city": "Delft"})).await;
    }
    desk.send(desk.command(there, Action::Erase { target: Target::Id(EVE), accounts: Vec::new() })).await;
    desk.store.prune(Prune { business: there.clone(), until: 1, has_outlets: false }).await.unwrap();
    let mut begins = desk.command(there, Action::CreateMany);
    begins.fresh.operation = UPLOAD;
    desk.send(begins).await;
    let lines = vec![Line::Refused(Rejection::new(Code::InvalidJson, "no JSON"))];
    let (business, tell) = (there.clone(), Vec::new());
    let batch = Batch { business, operation: UPLOAD, after: 0, lines, digest: [7; 16], is_last: false, tell };
    desk.store.commit(Commit { id: None, work: Work::Upload(Box::new(batch)) }).await.unwrap();
    let operation = Operation {
        id: scan(there).operation,
        verb: "replay".to_owned(),
        at: desk.clock_now(),
        application: None,
        token: None,
        ty: None,
        record: None,
        state: OperationState::Sync { matched: 0, sent: 0, waiting: 1 },
    };
    desk.control(Control { scans: vec![(operation, scan(there))], ..control(Vec::new()) }).await.unwrap();
}

async fn check_format_2(desk: &Desk<'_>, format: u32) {
    let there = &desk.there;
    let at = matching::key_of(&contact(), "email", &Kind::Email, &json!("cas@example.com")).unwrap();
    assert_eq!(desk.store.lookup(there, &at, 9).await.unwrap(), [CAS]);
    assert_eq!(desk.store.floor(there).await.unwrap(), 1);
    let later = if format >= 3 { 1 } else { 0 };
    assert_eq!(desk.store.changes(there, 0, 9).await.unwrap().changes.len(), 4 + later);
    assert!(desk.record(there, EVE).await.unwrap().state.is_erased);
    assert_eq!(desk.store.outcomes(there, UPLOAD, 0).await.unwrap(), [outcome()]);
    assert_eq!(desk.store.scans(0, 9).await.unwrap(), [(1, scan(there))]);
    assert_eq!(desk.outlet(there).await.down, [(OWN, down())]);
    // The erasure was begun, and is finished by whoever opens the store.
    assert!(!desk.store.change(there, 2).await.unwrap().unwrap().state.is_erased);
    assert!(!desk.store.erase_on().await.unwrap());
    let blanked = desk.store.change(there, 2).await.unwrap().unwrap();
    assert!(blanked.state.is_erased && blanked.state.fields.is_empty());
}

/// A type of the business's own, an index that is whole, and one that is not.
async fn make_format_3(desk: &Desk<'_>) {
    let there = &desk.there;
    let size = Field { is_indexed: true, is_custom: true, ..Field::new("size", Kind::Integer) };
    let city = Field { is_indexed: true, ..Field::new("city", Kind::String) };
    let shape = async |fields: &[&Field]| {
        let fields = fields.iter().map(|&field| (field.id.clone(), field.clone())).collect();
        let definition = TypeDefinition { fields, ..TypeDefinition::default() };
        let key = SettingKey::of_type(there, &contact());
        let put = Put { key, value: Some(Setting::Type(definition)), expect: Expect::Anything };
        desk.control(control(vec![put])).await.unwrap();
    };
    shape(&[&size]).await;
    while desk.store.index_on().await.unwrap() {}
    desk.update(there, CAS, json!({"size": -40})).await;
    shape(&[&size, &city]).await;
}

async fn check_format_3(desk: &Desk<'_>) {
    let there = &desk.there;
    let entries =
        async |field: &str| desk.store.entries(there, (&contact(), field), Range::default(), 9).await.unwrap();
    let minus_forty = matching::bytes_of(&Kind::Integer, &json!(-40)).unwrap();
    assert_eq!(entries("size").await, [(minus_forty, CAS)]);
    assert_eq!(desk.store.building(there).await.unwrap(), [(contact(), "city".to_owned())]);
    while desk.store.index_on().await.unwrap() {}
    assert_eq!(entries("city").await, [(b"Delft".to_vec(), CAS)]);
    let refused = desk.create(there, json!({"size": "large"}), None).await;
    assert_eq!(code_of(&refused), Code::InvalidValue);
}

fn object() -> ShadowKey {
    ShadowKey { connection: ConnectionId(8), slot: "contact".to_owned(), id: "77".to_owned() }
}

fn progress() -> Progress {
    Progress { follow: Some(Position::first(3)), is_matched: true, pulled: json!({"at": 1}), ..Progress::default() }
}

/// What a share keeps: a shadow, how far it has come, a hint, a problem.
async fn make_format_4(desk: &Desk<'_>) {
    let provider = Provider::parse("mailer").unwrap();
    let external_id =
        ExternalId { provider: provider.clone(), realm: "acme".to_owned(), object: None, id: "77".to_owned() };
    let values = fields(json!({"email": "nobody@example.com"}));
    let seen = Seen { values, version: Some("3".to_owned()), asked_at: desk.clock_now() };
    let take = Take { object: object(), external_id, seen, matching: Vec::new(), intake: Intake::Link };
    let origin = Origin::Share { id: SHARE, connection: ConnectionId(8), provider, is_history: false };
    let command = Command { origin, ..desk.command(&desk.there, Action::Take(Box::new(take))) };
    let subject = Subject::Object("77".to_owned());
    let line = turn::Line { command, subject: subject.clone(), counts_as: None, flaw: None };
    let reason = Rejection::new(Code::RemoteRefused, "no");
    let problem = Problem::of(&desk.there, SHARE, &Subject::Record(CAS), reason, desk.clock_now());
    let puts = vec![
        (WorkKey::progress(SHARE), WorkPut::Row(WorkRow::Progress(progress()))),
        (WorkKey::hint(SHARE, "78"), WorkPut::Raise { at: Timestamp(5), shown: None }),
        (WorkKey::problem(SHARE, problem.id), WorkPut::Row(WorkRow::Problem(problem))),
    ];
    let turn = turn::Turn { lines: vec![line], puts, ..turn::Turn::of(desk.there.clone(), SHARE, desk.clock_now()) };
    desk.store.commit(Commit { id: None, work: Work::Turn(Box::new(turn)) }).await.unwrap();
}

async fn check_format_4(desk: &Desk<'_>) {
    let there = &desk.there;
    let shadow = desk.store.shadows(there, &[object()]).await.unwrap().remove(0).unwrap();
    assert_eq!((shadow.record, shadow.version.as_deref()), (None, Some("3")));
    assert_eq!(shadow.values, fields(json!({"email": "nobody@example.com"})));
    let row = desk.store.work_row(there, &WorkKey::progress(SHARE)).await.unwrap();
    assert_eq!(row, Some(WorkRow::Progress(progress())));
    let count = async |kind| desk.store.work(there, kind, Some(SHARE), None, 9).await.unwrap().len();
    assert_eq!((count(WorkKind::Hint).await, count(WorkKind::Problem).await), (1, 1));
}

async fn make(folder: &Folder) {
    let desk = Desk::open(folder).await;
    let mut ann = keyed(desk.creating(&desk.here, json!({"firstName": "Ann", "city": "Delft"}), Some("1")));
    ann.fresh.record = ANN;
    desk.send(ann).await;
    commit_to(&*desk.store, Some(COMMIT), named(&desk)).await.unwrap();
    let mut bob = desk.creating(&desk.here, json!({"firstName": "Bob", "tags": ["x"]}), Some("2"));
    bob.fresh.record = BOB;
    desk.send(bob).await;
    desk.delete(&desk.here, BOB).await;
    let value = Some(Setting::Subscription(subscription(OWN, &desk.here)));
    let put = Put { key: SettingKey::new(SettingKind::Subscription, OWN), value, expect: Expect::Absent };
    let lanes = vec![(desk.here.clone(), OWN, StartAt::After(1))];
    desk.control(Control { lanes, ..control(vec![put]) }).await.unwrap();
    let sync = Action::SyncById { target: Target::Id(ANN), subscriptions: vec![OWN] };
    desk.send(desk.command(&desk.here, sync)).await;
    let fence = desk.store.claim("worker").await.unwrap();
    let steps = vec![(OWN, LaneStep::Park(parked())), (OWN, LaneStep::Bury(letter()))];
    let here = OutletSettle { business: desk.here.clone(), position: Some(4), steps };
    let steps = vec![(OWN, LaneStep::Shut(down()))];
    let outlets = vec![here, OutletSettle { business: desk.there.clone(), position: None, steps }];
    desk.store
        .settle(Settle { fence, at: desk.clock_now(), outlets, scans: Vec::new(), notices: Vec::new() })
        .await
        .unwrap();
    make_format_2(&desk).await;
    make_format_3(&desk).await;
    make_format_4(&desk).await;
    desk.store.close().await;
}

async fn check(file: &Path, format: u32) {
    let folder = Folder::fresh();
    fs::copy(file, folder.file("lockstep.db")).unwrap();
    let desk = Desk::join(&folder).await;
    desk.clock.advance(1_000);
    if format >= 2 {
        check_format_2(&desk, format).await;
    }
    match format {
        3.. => check_format_3(&desk).await,
        // An older file is brought to the present format: it takes types and indexes.
        2 => {
            make_format_3(&desk).await;
            check_format_3(&desk).await;
        }
        _ => {}
    }
    if format < 4 {
        make_format_4(&desk).await;
    }
    check_format_4(&desk).await;

    let log = desk.log(&desk.here).await;
    let kinds: Vec<_> = log.iter().map(|change| (change.kind, change.record, change.prev_seq)).collect();
    use ChangeKind::{Created, Deleted, Updated};
    assert_eq!(kinds, [(Created, ANN, 0), (Updated, ANN, 1), (Created, BOB, 0), (Deleted, BOB, 3)]);
    assert_eq!(log[1].old, fields(json!({"city": "Delft"})));
    assert_eq!(desk.store.chain(&desk.here, &key(ANN), 0, 9).await.unwrap(), [1, 2]);
    let ann = desk.record(&desk.here, ANN).await.unwrap();
    assert_eq!((ann.version, ann.last_seq, ann.updated_at), (2, 2, Timestamp(1_700_000_000_000)));
    assert_eq!(ann.state.fields, fields(json!({"firstName": "Ann", "city": "Breda"})));
    assert_eq!(ann.state.external_ids, [external("1")]);
    assert_eq!(ann.provenance.len(), 2);
    assert!(desk.record(&desk.here, BOB).await.unwrap().state.is_deleted);

    let audit = desk.store.audit(None, i64::MAX, 99).await.unwrap();
    assert!(!audit.is_empty() && audit.iter().all(|(_, audit)| audit.business.is_none()));
    assert_eq!(desk.store.audit(Some(&desk.here), i64::MAX, 99).await.unwrap(), []);
    let rows = desk.store.settings(0, 99).await.unwrap().rows;
    let own = rows.iter().find(|row| row.key.kind == SettingKind::Subscription).unwrap();
    assert_eq!(own.value, Some(Setting::Subscription(subscription(OWN, &desk.here))));
    let outlet = desk.outlet(&desk.here).await;
    assert_eq!((outlet.position, outlet.lanes, outlet.parked), (Some(4), vec![(OWN, 1)], vec![(OWN, parked())]));
    assert_eq!(desk.store.dead_letters(&desk.here, OWN, 0, 9).await.unwrap(), [letter()]);
    let [(row, notice)] = desk.notices().await.try_into().unwrap();
    let NoticeBody::Current { operation, record, .. } = notice.body else { panic!("{notice:?}") };
    assert_eq!((row, notice.subscription, notice.after_seq, record), (1, OWN, 4, ANN));
    let operation = desk.store.operation(&desk.here, operation).await.unwrap().unwrap();
    assert_eq!(operation.state, OperationState::Sync { matched: 1, sent: 0, waiting: 1 });

    // What is only seen by using it.
    let again = desk.send(keyed(desk.creating(&desk.here, json!({}), None))).await;
    assert_eq!((again.record, again.ending), (Some(ANN), Ending::Changed { seq: 1, version: 1 }), "the key");
    let again = commit_to(&*desk.store, Some(COMMIT), named(&desk)).await.unwrap();
    assert_eq!(seq_of(&again[0]), 2, "the commit's name");
    assert_eq!(desk.create(&desk.here, json!({"city": "Gouda"}), Some("1")).await.record, Some(ANN), "the external id");
    assert_eq!(desk.create(&desk.here, json!({"city": "Gouda"}), Some("2")).await.record, Some(BOB), "the tombstone's");
    assert_eq!(desk.head(&desk.here).await, 6);
    assert_eq!(desk.store.claim("worker").await.unwrap(), Fence(2));
}

#[tokio::test]
async fn a_store_of_format_1_is_opened_and_read() {
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1/lockstep.db"), 1).await;
}

#[tokio::test]
async fn a_store_of_format_2_is_opened_and_read() {
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-2/lockstep.db"), 2).await;
}

#[tokio::test]
async fn a_store_of_format_3_is_opened_and_read() {
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-3/lockstep.db"), 3).await;
}

#[tokio::test]
async fn a_store_of_format_4_is_opened_and_read() {
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-4/lockstep.db"), 4).await;
}

#[tokio::test]
async fn a_store_made_today_passes_for_its_fixture() {
    let folder = Folder::fresh();
    make(&folder).await;
    let keep = Path::new(env!("CARGO_TARGET_TMPDIR")).join("format-4");
    fs::create_dir_all(&keep).unwrap();
    let file = keep.join("lockstep.db");
    fs::copy(folder.file("lockstep.db"), &file).unwrap();
    assert!(!folder.file("lockstep.db-wal").exists(), "a closed store is one file");
    check(&file, 4).await;
}
