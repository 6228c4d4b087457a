//! Types of a business's own: in force from their commit on, in their business alone; and the indexes that they ask for,
//! built over what stands while writes go on.
#![expect(clippy::indexing_slicing, reason = "what a case has just made is there, or the case fails")]

use super::Subject;
use super::desk::{Desk, code_of, contact, control, put_text, seq_of};
use crate::index::{Range, Walk};
use crate::settings::{Expect, Put, Setting, SettingKey};
use crate::{Commit, StoreError, Work};
use lockstep_core::command::Ending;
use lockstep_core::error::Code;
use lockstep_core::ids::RecordId;
use lockstep_core::kind::Kind;
use lockstep_core::limits::INDEXED_A_TURN;
use lockstep_core::rules::matching;
use lockstep_core::schema::Field;
use lockstep_core::schema::definition::TypeDefinition;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A put of what a business says of contacts: these fields.
pub fn put_type(desk: &Desk<'_>, fields: &[Field]) -> Put {
    let fields: BTreeMap<_, _> = fields.iter().map(|field| (field.id.clone(), field.clone())).collect();
    let definition = TypeDefinition { fields, ..TypeDefinition::default() };
    let value = (!definition.is_blank()).then_some(Setting::Type(definition));
    Put { key: SettingKey::of_type(&desk.here, &contact()), value, expect: Expect::Anything }
}

async fn shape(desk: &Desk<'_>, fields: &[Field]) {
    desk.control(control(vec![put_type(desk, fields)])).await.expect("taken");
}

fn required(id: &str) -> Field {
    Field { is_required: true, ..Field::new(id, Kind::String) }
}

/// A field of the business's own that is indexed, or not.
fn size(is_indexed: bool) -> Field {
    Field { is_indexed, is_custom: true, ..Field::new("size", Kind::Integer) }
}

fn email(is_indexed: bool) -> Field {
    Field { is_indexed, ..Field::new("email", Kind::Email) }
}

async fn to_the_end(desk: &Desk<'_>) -> usize {
    let mut turns = 1;
    while desk.store.index_on().await.expect("a turn") {
        turns += 1;
    }
    assert!(desk.store.building(&desk.here).await.expect("read").is_empty());
    turns
}

/// All entries of a field, read by pages.
async fn entries(desk: &Desk<'_>, field: &str, range: Range) -> Vec<(Vec<u8>, RecordId)> {
    let mut all: Vec<(Vec<u8>, RecordId)> = Vec::new();
    loop {
        let range = Range { after: all.last().cloned().or_else(|| range.after.clone()), ..range.clone() };
        let page = desk.store.entries(&desk.here, (&contact(), field), range, 300).await.expect("read");
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// That the index of a field says what the records say: no more, no less, in order.
async fn check_index(desk: &Desk<'_>, field: &Field) {
    let (mut walk, mut expected) = (Walk::OLDEST, Vec::new());
    loop {
        let page = desk.store.records(&desk.here, &contact(), walk, 500).await.expect("read");
        let entry = |record: &lockstep_core::record::Record| {
            Some((matching::entry(&contact(), field, &record.state)?.value, record.id))
        };
        expected.extend(page.records.iter().filter_map(entry));
        let Some(last) = page.records.last().filter(|_| !page.is_last) else { break };
        walk = walk.on_from(last.id);
    }
    expected.sort();
    let found = entries(desk, &field.id, Range::default()).await;
    assert!(found == expected, "{} entries of {}, {} expected", found.len(), field.id, expected.len());
}

async fn make_many(desk: &Desk<'_>, count: usize) -> Vec<RecordId> {
    let commands = (0..count).map(|number| {
        let values = if number % 3 == 0 { json!({}) } else { json!({"city": "Delft", "size": number}) };
        desk.creating(&desk.here, values, None)
    });
    let commands: Vec<_> = commands.collect();
    let mut made = Vec::new();
    for batch in commands.chunks(1_000) {
        let outcomes = desk.commit(batch.to_vec()).await.expect("taken");
        made.extend(outcomes.iter().map(|outcome| outcome.record.expect("made")));
    }
    made
}

/// The commit after a change of type is decided by it, in that business alone, and after reopening.
pub async fn a_type_is_in_force_from_its_commit_on(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    desk.create(&desk.here, json!({"city": "Delft"}), None).await;
    shape(&desk, &[required("lastName"), size(false)]).await;
    let refused = desk.create(&desk.here, json!({"city": "Delft"}), None).await;
    assert_eq!(code_of(&refused), Code::FieldRequired);
    assert_eq!(seq_of(&desk.create(&desk.there, json!({"city": "Delft"}), None).await), 1, "not elsewhere");
    let desk = desk.reopen().await;
    assert_eq!(code_of(&desk.create(&desk.here, json!({"size": 4}), None).await), Code::FieldRequired);
    assert_eq!(seq_of(&desk.create(&desk.here, json!({"size": 4, "lastName": "Vos"}), None).await), 2);
    shape(&desk, &[]).await;
    assert_eq!(code_of(&desk.create(&desk.here, json!({"size": 4}), None).await), Code::UnknownField);
    assert_eq!(seq_of(&desk.create(&desk.here, json!({}), None).await), 3);
}

/// A type that is no more refuses the command that was on its way, and harms no other.
pub async fn a_command_of_a_type_that_is_gone_is_refused_alone(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let mut stray = desk.creating(&desk.here, json!({}), None);
    stray.ty = lockstep_core::ids::TypeId::parse("visit").expect("legal");
    let outcomes = desk.commit(vec![stray, desk.creating(&desk.here, json!({}), None)]).await.expect("taken");
    assert!(matches!(&outcomes[0].ending, Ending::Refused(refused) if refused.code == Code::UnknownType));
    assert_eq!(seq_of(&outcomes[1]), 1);
}

/// A control that is refused changes no type, not even in what the store remembers.
pub async fn a_refused_control_changes_no_type(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    desk.control(control(vec![put_text("taken", Some("a"), Expect::Absent)])).await.expect("taken");
    let puts = vec![put_type(&desk, &[required("lastName")]), put_text("taken", Some("b"), Expect::Absent)];
    let refused = desk.control(control(puts)).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(seq_of(&desk.create(&desk.here, json!({"city": "Delft"}), None).await), 1);
    let together = [
        Commit { id: None, work: Work::Control(Box::new(control(vec![put_type(&desk, &[required("city")])]))) },
        Commit { id: None, work: Work::Commands(vec![desk.creating(&desk.here, json!({}), None)]) },
    ];
    for commit in together {
        desk.store.commit(commit).await.expect("taken");
    }
    assert_eq!(desk.head(&desk.here).await, 1, "decided by the type of the commit before");
}

/// Of several writes of one unique value, in one batch or many, one wins.
pub async fn a_unique_value_has_one_holder(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let unique = Field { is_unique: true, is_indexed: true, ..Field::new("code", Kind::String) };
    shape(&desk, std::slice::from_ref(&unique)).await;
    let create = |code: &str| desk.creating(&desk.here, json!({"code": code}), None);
    let outcomes = desk.commit(vec![create("A"), create("A"), create("B")]).await.expect("taken");
    assert_eq!((seq_of(&outcomes[0]), code_of(&outcomes[1]), seq_of(&outcomes[2])), (1, Code::ValueTaken, 2));
    let desk = desk.reopen().await;
    assert_eq!(code_of(&desk.create(&desk.here, json!({"code": "A"}), None).await), Code::ValueTaken);
    let first = outcomes[0].record.expect("made");
    let moved = vec![
        desk.updating(&desk.here, first, json!({"code": null})),
        desk.creating(&desk.here, json!({"code": "A"}), None),
        desk.updating(&desk.here, first, json!({"code": "A"})),
    ];
    let outcomes = desk.commit(moved).await.expect("taken");
    assert_eq!((seq_of(&outcomes[1]), code_of(&outcomes[2])), (4, Code::ValueTaken));
    to_the_end(&desk).await;
    check_index(&desk, &unique).await;
}

/// An index that is asked for holds every living record once it is built, whatever was written meanwhile.
pub async fn an_index_is_built_over_what_stands(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    shape(&desk, &[size(false)]).await;
    assert!(!desk.store.index_on().await.expect("a turn"), "nothing is to be built");
    let made = make_many(&desk, 2 * INDEXED_A_TURN + 10).await;
    shape(&desk, &[size(true)]).await;
    assert_eq!(desk.store.building(&desk.here).await.expect("read"), [(contact(), "size".to_owned())]);
    assert!(desk.store.building(&desk.there).await.expect("read").is_empty());
    assert!(desk.store.index_on().await.expect("a turn"));
    let last = made.len() - 1;
    for (record, value) in [(made[1], json!(-7)), (made[0], json!(5)), (made[4], Value::Null), (made[last], json!(9))] {
        desk.update(&desk.here, record, json!({"size": value})).await;
    }
    desk.delete(&desk.here, made[7]).await;
    desk.delete(&desk.here, made[last - 1]).await;
    desk.create(&desk.here, json!({"size": 12}), None).await;
    let desk = desk.reopen().await;
    assert!(to_the_end(&desk).await <= 4);
    check_index(&desk, &size(true)).await;
    desk.update(&desk.here, made[2], json!({"size": -99})).await;
    check_index(&desk, &size(true)).await;
}

/// Taken down and asked for again at any point, an index ends right: nothing stale is left in it.
pub async fn an_index_asked_for_again_ends_right(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    shape(&desk, &[size(true)]).await;
    let made = make_many(&desk, INDEXED_A_TURN + 50).await;
    to_the_end(&desk).await;
    check_index(&desk, &size(true)).await;
    for turns in 0..4 {
        shape(&desk, &[size(false)]).await;
        for _ in 0..turns {
            desk.store.index_on().await.expect("a turn");
        }
        // Nobody keeps entries right that are being taken down.
        let value = 1_000 + turns;
        desk.update(&desk.here, made[1], json!({"size": value})).await;
        desk.update(&desk.here, made[made.len() - 1], json!({"size": value})).await;
        desk.update(&desk.here, made[0], json!({"size": if turns % 2 == 0 { json!(value) } else { Value::Null }}))
            .await;
        shape(&desk, &[size(true)]).await;
        desk.update(&desk.here, made[2], json!({"size": value})).await;
        to_the_end(&desk).await;
        check_index(&desk, &size(true)).await;
    }
    shape(&desk, &[]).await;
    to_the_end(&desk).await;
    assert!(entries(&desk, "size", Range::default()).await.is_empty(), "nothing is left of an index taken down");
}

/// What records are matched by stays found while the rest of its index comes and goes.
pub async fn matching_goes_on_while_an_index_changes(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let ann = desk.made(&desk.here, json!({"email": "ann@b.nl"}), None).await;
    let bare = desk.made(&desk.here, json!({}), None).await;
    let at = matching::key_of(&contact(), "email", &Kind::Email, &json!("ann@b.nl")).expect("a key");
    for is_indexed in [true, false, true] {
        shape(&desk, &[email(is_indexed)]).await;
        loop {
            assert_eq!(desk.store.lookup(&desk.here, &at, 9).await.expect("read"), [ann]);
            if !desk.store.index_on().await.expect("a turn") {
                break;
            }
        }
        check_index(&desk, &email(is_indexed)).await;
        let value = if is_indexed { Value::Null } else { json!("bare@b.nl") };
        desk.update(&desk.here, bare, json!({"email": value})).await;
        check_index(&desk, &email(is_indexed)).await;
    }
}

/// Entries are read in order of value and then of record, either way, from, to and after any of them.
pub async fn entries_come_in_order_either_way(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    shape(&desk, &[size(true)]).await;
    let mut made = Vec::new();
    for value in [json!(5), Value::Null, json!(-3), json!(5), json!(70)] {
        made.push(desk.made(&desk.here, json!({"size": value}), None).await);
    }
    let order = [1, 2, 0, 3, 4].map(|index| made[index]);
    let read = async |range: Range| -> Vec<RecordId> {
        entries(&desk, "size", range).await.into_iter().map(|(_, id)| id).collect()
    };
    let back = |is_descending| Range { is_descending, ..Range::default() };
    assert_eq!(read(back(false)).await, order);
    assert_eq!(read(back(true)).await, order.iter().rev().copied().collect::<Vec<_>>());
    let bytes = |value: i64| matching::bytes_of(&Kind::Integer, &json!(value));
    for is_descending in [false, true] {
        let mut five = read(Range { from: bytes(5), to: bytes(5), ..back(is_descending) }).await;
        five.sort();
        assert_eq!(five, [made[0], made[3]], "both ends are taken in");
        let blank = read(Range { to: Some(Vec::new()), ..back(is_descending) }).await;
        assert_eq!(blank, [made[1]], "those without a value");
        let none = Range { from: bytes(6), to: bytes(5), ..back(is_descending) };
        assert!(read(none).await.is_empty());
    }
    let after = Some((bytes(5).expect("bytes"), made[0]));
    assert_eq!(read(Range { after: after.clone(), ..back(false) }).await, [made[3], made[4]]);
    assert_eq!(read(Range { after: after.clone(), from: bytes(-3), ..back(true) }).await, [made[2]]);
    let page = desk.store.entries(&desk.here, (&contact(), "size"), back(false), 2).await.expect("read");
    assert_eq!(page.len(), 2);
    let elsewhere = desk.store.entries(&desk.there, (&contact(), "size"), back(false), 9).await.expect("read");
    assert!(elsewhere.is_empty());
}

/// What a store remembers of types is right again after a commit that was rolled back.
pub async fn a_bad_commit_forgets_no_type(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    shape(&desk, &[required("lastName")]).await;
    let mut nowhere = desk.creating(&desk.here, json!({}), None);
    nowhere.business = super::desk::business("nowhere");
    assert!(desk.commit(vec![nowhere]).await.is_err());
    assert_eq!(code_of(&desk.create(&desk.here, json!({}), None).await), Code::FieldRequired);
    assert_eq!(desk.log(&desk.here).await.len(), 0);
}
