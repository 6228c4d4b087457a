//! Turns of shares: objects taken in, writes kept, and work rows, all in one commit.
#![expect(clippy::indexing_slicing, reason = "what a case has just made is there, or the case fails")]

use super::Subject;
use super::desk::{Desk, code_of, control, fields};
use crate::prune::Prune;
use crate::turn::{Line, Turn};
use crate::{Commit, Committed, Work};
use lockstep_core::change::Origin;
use lockstep_core::clock::Timestamp;
use lockstep_core::command::{Action, Command, Ending, Intake, Outcome, Pushed, ShadowedAccount, Take, Taken, Target};
use lockstep_core::error::Code;
use lockstep_core::external_id::ExternalId;
use lockstep_core::ids::{ConnectionId, Provider, RecordId, RunId, ShareId};
use lockstep_core::position::Position;
use lockstep_core::problem::{Problem, Subject as About};
use lockstep_core::run::{Counts, Run, RunKind, RunState, Stage};
use lockstep_core::shadow::{Seen, Shadow, ShadowKey, ShadowState};
use lockstep_core::work::{Progress, WorkKey, WorkKind, WorkPut, WorkRow};
use serde_json::{Value, json};

const SHARE: ShareId = ShareId(7);
const CONNECTION: ConnectionId = ConnectionId(8);

fn provider() -> Provider {
    Provider::parse("mailer").expect("a slug")
}

fn external(id: &str) -> ExternalId {
    ExternalId { provider: provider(), realm: "acme".to_owned(), object: None, id: id.to_owned() }
}

fn object(id: &str) -> ShadowKey {
    ShadowKey { connection: CONNECTION, slot: "contact".to_owned(), id: id.to_owned() }
}

fn asks(desk: &Desk<'_>, action: Action, subject: About) -> Line {
    let origin = Origin::Share { id: SHARE, connection: CONNECTION, provider: provider(), is_history: false };
    Line { command: Command { origin, ..desk.command(&desk.here, action) }, subject, counts_as: None, flaw: None }
}

fn take_of(desk: &Desk<'_>, id: &str, values: Value) -> Take {
    Take {
        object: object(id),
        external_id: external(id),
        seen: Seen { values: fields(values), version: None, asked_at: desk.clock_now() },
        matching: vec![vec!["email".to_owned()]],
        intake: Intake::All,
    }
}

fn taking(desk: &Desk<'_>, id: &str, values: Value) -> Line {
    let take = take_of(desk, id, values);
    asks(desk, Action::Take(Box::new(take)), About::Object(id.to_owned()))
}

fn pushing(desk: &Desk<'_>, record: RecordId, id: &str, values: Value) -> Line {
    let pushed = Pushed {
        record,
        object: object(id),
        external_id: external(id),
        values: Some(fields(values)),
        state: ShadowState::Known,
    };
    asks(desk, Action::Pushed(Box::new(pushed)), About::Record(record))
}

fn turn(desk: &Desk<'_>, lines: Vec<Line>) -> Turn {
    Turn { lines, ..Turn::of(desk.here.clone(), SHARE, desk.clock_now()) }
}

async fn done(desk: &Desk<'_>, turn: Turn) -> Vec<Outcome> {
    match desk.store.commit(Commit { id: None, work: Work::Turn(Box::new(turn)) }).await.expect("taken") {
        Committed::Outcomes(outcomes) => outcomes,
        other => panic!("a turn is answered with outcomes, not {other:?}"),
    }
}

async fn took(desk: &Desk<'_>, id: &str, values: Value) -> Outcome {
    done(desk, turn(desk, vec![taking(desk, id, values)])).await.remove(0)
}

fn what(outcome: &Outcome) -> Taken {
    match outcome.ending {
        Ending::Taken { what, .. } => what,
        ref other => panic!("{other:?}"),
    }
}

async fn shadow(desk: &Desk<'_>, id: &str) -> Option<Shadow> {
    desk.store.shadows(&desk.here, &[object(id)]).await.expect("read").remove(0)
}

async fn problems(desk: &Desk<'_>) -> Vec<Problem> {
    let rows = desk.store.work(&desk.here, WorkKind::Problem, Some(SHARE), None, 99).await.expect("read");
    let problem = |(_, row)| if let WorkRow::Problem(problem) = row { problem } else { panic!("{row:?}") };
    rows.into_iter().map(problem).collect()
}

/// A new object makes a record; what equals the shadow says nothing, however often it is shown (P5).
pub async fn only_what_differs_from_the_shadow_is_an_edit(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let made = took(&desk, "1", json!({"email": "a@b.nl", "phone": ""})).await;
    let record = made.record.expect("a record");
    assert_eq!((what(&made), desk.head(&desk.here).await), (Taken::Created, 1));
    desk.update(&desk.here, record, json!({"email": "new@b.nl", "firstName": "Ann"})).await;
    let desk = desk.reopen().await;
    desk.clock.advance(5);
    let same = took(&desk, "1", json!({"email": "a@b.nl", "phone": null})).await;
    assert_eq!((what(&same), same.record), (Taken::Unchanged, Some(record)));
    assert_eq!(desk.values(&desk.here, record).await["email"], "new@b.nl", "an old value shown again is no edit");
    let edited = took(&desk, "1", json!({"phone": "+31201234567"})).await;
    assert_eq!(what(&edited), Taken::Updated);
    let values = desk.values(&desk.here, record).await;
    assert_eq!((&values["phone"], &values["email"]), (&json!("+31201234567"), &json!("new@b.nl")));
    let cleared = took(&desk, "1", json!({"email": null})).await;
    assert_eq!(what(&cleared), Taken::Updated);
    assert!(desk.values(&desk.here, record).await.get("email").is_none(), "a value that is taken away there goes here");
}

/// A record is recognised by its values, linked, and left as it is where an object is not to be taken in.
pub async fn an_object_is_recognised(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let record = desk.made(&desk.here, json!({"email": "a@b.nl"}), None).await;
    let mut line = taking(&desk, "1", json!({"email": "A@b.nl", "firstName": "Ann"}));
    let Action::Take(take) = &mut line.command.action else { panic!("a take") };
    take.intake = Intake::Link;
    take.seen.values = fields(json!({"email": "a@b.nl", "firstName": "Ann"}));
    let stranger = Take { intake: Intake::Link, ..take_of(&desk, "2", json!({"email": "c@d.nl"})) };
    let stranger = asks(&desk, Action::Take(Box::new(stranger)), About::Object("2".to_owned()));
    let outcomes = done(&desk, turn(&desk, vec![line, stranger])).await;
    assert_eq!(outcomes.iter().map(what).collect::<Vec<_>>(), [Taken::Matched, Taken::Skipped]);
    let standing = desk.record(&desk.here, record).await.expect("there");
    assert_eq!(standing.state.external_ids, [external("1")]);
    assert!(!standing.state.fields.contains_key("firstName"), "only recognised");
    assert_eq!(shadow(&desk, "1").await.expect("kept").record, Some(record));
    assert_eq!(shadow(&desk, "2").await.expect("kept").record, None);
}

/// What stood before a share is left out until it changes there, where its share brings over no history.
pub async fn what_was_left_out_comes_when_it_changes(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let take = async |intake, phone: &str| {
        desk.clock.advance(1);
        let take = Take { intake, ..take_of(&desk, "1", json!({"email": "a@b.nl", "phone": phone})) };
        let line = asks(&desk, Action::Take(Box::new(take)), About::Object("1".to_owned()));
        what(&done(&desk, turn(&desk, vec![line])).await[0])
    };
    assert_eq!(take(Intake::Known, "").await, Taken::Skipped);
    assert_eq!(take(Intake::Changed, "").await, Taken::Skipped, "seen once more, and as it was");
    assert_eq!(take(Intake::Known, "+31201234567").await, Taken::Skipped);
    assert_eq!(take(Intake::Changed, "+31207654321").await, Taken::Created);
    assert_eq!(take(Intake::Nothing, "+31201111111").await, Taken::Skipped);
    assert_eq!(shadow(&desk, "1").await.expect("kept").values["phone"], "+31207654321");
    assert_eq!(desk.head(&desk.here).await, 1);
}

/// What cannot be taken in is a problem, leaves the shadow as it was, and is none any more once it is taken.
pub async fn a_problem_opens_and_closes_by_itself(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let one = desk.made(&desk.here, json!({"email": "a@b.nl"}), Some("x")).await;
    let two = desk.made(&desk.here, json!({"email": "a@b.nl"}), Some("y")).await;
    for times in 1..=2 {
        desk.clock.advance(1);
        assert_eq!(code_of(&took(&desk, "1", json!({"email": "a@b.nl"})).await), Code::AmbiguousMatch);
        let open = problems(&desk).await;
        assert_eq!((open.len(), open[0].times, open[0].remote.as_deref()), (1, times, Some("1")));
        assert!(open[0].last_at >= open[0].first_at && shadow(&desk, "1").await.is_none());
    }
    desk.send(desk.command(&desk.here, Action::Merge { target: Target::Id(two), into: Target::Id(one) })).await;
    let taken = took(&desk, "1", json!({"email": "a@b.nl"})).await;
    assert_eq!((what(&taken), taken.record), (Taken::Matched, Some(one)));
    assert!(problems(&desk).await.is_empty());
    assert_eq!(code_of(&took(&desk, "2", json!({"email": "a@b.nl"})).await), Code::RemoteDuplicate);
    desk.delete(&desk.here, one).await;
    assert_eq!(what(&took(&desk, "1", json!({"email": "a@b.nl"})).await), Taken::Unchanged, "a copy revives nothing");
    assert_eq!(code_of(&took(&desk, "1", json!({"email": "z@b.nl"})).await), Code::RecordDeleted);
}

/// A write leaves the shadow and the id in one commit; reading it back is no edit, and older evidence is stale.
pub async fn a_write_is_kept_with_its_id(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let record = desk.made(&desk.here, json!({"email": "a@b.nl"}), None).await;
    let other = desk.made(&desk.here, json!({"email": "c@d.nl"}), None).await;
    let before = take_of(&desk, "1", json!({"email": ""}));
    desk.clock.advance(10);
    let kept = done(&desk, turn(&desk, vec![pushing(&desk, record, "1", json!({"email": "a@b.nl"}))])).await;
    assert_eq!((what(&kept[0]), desk.head(&desk.here).await), (Taken::Matched, 3));
    let desk = desk.reopen().await;
    let stale = asks(&desk, Action::Take(Box::new(before)), About::Object("1".to_owned()));
    assert_eq!(what(&done(&desk, turn(&desk, vec![stale])).await[0]), Taken::Stale);
    let hint = desk.store.work_row(&desk.here, &WorkKey::hint(SHARE, "1")).await.expect("read");
    assert!(matches!(hint, Some(WorkRow::Hint(_))), "what was seen too early is read again");
    assert_eq!(what(&took(&desk, "1", json!({"email": "a@b.nl"})).await), Taken::Unchanged);
    let twice = done(&desk, turn(&desk, vec![pushing(&desk, other, "1", json!({}))])).await;
    assert_eq!(code_of(&twice[0]), Code::ExternalIdTaken);
    assert_eq!(problems(&desk).await[0].record, Some(other));
    let left =
        Pushed { record, object: object("1"), external_id: external("1"), values: None, state: ShadowState::LeftScope };
    let left = asks(&desk, Action::Pushed(Box::new(left)), About::Record(record));
    done(&desk, turn(&desk, vec![left])).await;
    assert!(desk.record(&desk.here, record).await.expect("there").state.external_ids.is_empty());
    assert_eq!(shadow(&desk, "1").await.expect("kept").state, ShadowState::LeftScope);
}

fn run(desk: &Desk<'_>) -> Run {
    Run {
        id: RunId(9),
        business: desk.here.clone(),
        share: SHARE,
        share_version: 1,
        kind: RunKind::Baseline,
        state: RunState::Running,
        stage: Stage::Listing { state: json!({"cursor": "x"}) },
        counts: Counts::default(),
        started_at: desk.clock_now(),
        ended_at: None,
        reason: None,
    }
}

/// A run's counts add up over its turns, with its checkpoint, and nothing of a turn that is refused remains.
pub async fn counts_and_checkpoint_come_with_the_lines(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let lines = vec![
        taking(&desk, "1", json!({"email": "a@b.nl"})),
        taking(&desk, "2", json!({"email": "a@b.nl"})),
        taking(&desk, "3", json!({"email": "c@d.nl"})),
    ];
    let first = Turn { run: Some(run(&desk)), is_bulk: true, ..turn(&desk, lines) };
    let outcomes = done(&desk, first).await;
    assert_eq!(code_of(&outcomes[1]), Code::RemoteDuplicate, "a later line sees what an earlier one made");
    let desk = desk.reopen().await;
    let key = WorkKey::run(SHARE, RunId(9));
    let Some(WorkRow::Run(standing)) = desk.store.work_row(&desk.here, &key).await.expect("read") else {
        panic!("a run")
    };
    assert_eq!(standing.stage, Stage::Listing { state: json!({"cursor": "x"}) });
    assert_eq!(standing.counts, Counts { seen: 3, created: 2, failed: 1, ..Counts::default() });
    let again = Turn { run: Some(standing), ..turn(&desk, vec![taking(&desk, "3", json!({"email": "c@d.nl"}))]) };
    done(&desk, again).await;
    let Some(WorkRow::Run(standing)) = desk.store.work_row(&desk.here, &key).await.expect("read") else {
        panic!("a run")
    };
    assert_eq!((standing.counts.seen, standing.counts.settled(), standing.counts.unchanged), (4, 4, 1));
}

/// A hint given again while it is worked on is not settled by that work.
pub async fn a_hint_is_settled_by_who_saw_the_newest(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let key = WorkKey::hint(SHARE, "1");
    let put = |put: WorkPut| Turn { puts: vec![(key.clone(), put)], ..turn(&desk, Vec::new()) };
    let raise = || WorkPut::Raise { at: desk.clock_now(), shown: None };
    done(&desk, put(raise())).await;
    done(&desk, put(raise())).await;
    done(&desk, put(WorkPut::Settle { count: 1 })).await;
    let Some(WorkRow::Hint(hint)) = desk.store.work_row(&desk.here, &key).await.expect("read") else {
        panic!("a hint that is not settled")
    };
    assert_eq!(hint.count, 2);
    done(&desk, put(WorkPut::Settle { count: 2 })).await;
    assert_eq!(desk.store.work_row(&desk.here, &key).await.expect("read"), None);
    done(&desk, put(raise())).await;
    assert!(desk.store.work(&desk.there, WorkKind::Hint, None, None, 9).await.expect("read").is_empty());
}

/// Rows come by kind and share, in pages; those of a share that ended are gone, and what its connection's objects held.
pub async fn rows_are_paged_and_end_with_their_share(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    took(&desk, "1", json!({"email": "a@b.nl"})).await;
    let hint = |share: u128, about: &str| {
        (WorkKey::hint(ShareId(share), about), WorkPut::Raise { at: Timestamp(1), shown: None })
    };
    let puts = vec![hint(7, "b"), hint(7, "a"), hint(9, "a"), hint(3, "z")];
    done(&desk, Turn { puts, ..turn(&desk, Vec::new()) }).await;
    let page = async |share, after: Option<WorkKey>, limit| {
        let rows = desk.store.work(&desk.here, WorkKind::Hint, share, after.as_ref(), limit).await.expect("read");
        rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    let all = page(None, None, 9).await;
    let names: Vec<_> = all.iter().map(|key| (key.share.0, key.about.as_str())).collect();
    assert_eq!(names, [(3, "z"), (7, "a"), (7, "b"), (9, "a")]);
    assert_eq!(page(None, Some(all[1].clone()), 1).await, [all[2].clone()]);
    assert_eq!(page(Some(SHARE), None, 9).await, all[1..3]);
    let ended = crate::settings::Control {
        ended_shares: vec![(desk.here.clone(), SHARE)],
        ended_connections: vec![(desk.here.clone(), CONNECTION)],
        ..control(Vec::new())
    };
    desk.control(ended).await.expect("ended");
    assert_eq!(page(None, None, 9).await, [all[0].clone(), all[3].clone()]);
    assert_eq!(shadow(&desk, "1").await, None);
}

/// The log keeps what a share has yet to follow (P6).
pub async fn what_a_share_has_yet_to_follow_is_kept(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    for number in 0..5 {
        desk.made(&desk.here, json!({"firstName": format!("n{number}")}), None).await;
    }
    let progress = |seq| {
        let follow = Some(Position::first(seq));
        let row = Progress {
            follow,
            is_matched: true,
            is_live: true,
            pulled: Value::Null,
            run: None,
            scheduled_at: None,
            failing: None,
        };
        vec![(WorkKey::progress(SHARE), WorkPut::Row(WorkRow::Progress(row)))]
    };
    done(&desk, Turn { puts: progress(2), ..turn(&desk, Vec::new()) }).await;
    let prune = || Prune { business: desk.here.clone(), until: 4, has_outlets: false };
    assert_eq!(desk.store.prune(prune()).await.expect("pruned"), 2);
    done(&desk, Turn { puts: progress(5), ..turn(&desk, Vec::new()) }).await;
    assert_eq!(desk.store.prune(prune()).await.expect("pruned"), 4);
}

/// An erased record leaves no shadow.
pub async fn an_erased_record_leaves_no_shadow(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let record = took(&desk, "1", json!({"email": "a@b.nl"})).await.record.expect("a record");
    let accounts = vec![ShadowedAccount { provider: provider(), realm: "acme".to_owned(), connection: CONNECTION }];
    desk.send(desk.command(&desk.here, Action::Erase { target: Target::Id(record), accounts })).await;
    assert_eq!(shadow(&desk, "1").await, None);
    assert_eq!(desk.values(&desk.here, record).await, json!({}));
}
