//! Settings: what a put believes, what a reader of a version gets, all of a control or none of it.

use super::Subject;
use super::desk::{Desk, business, control, control_to, dropped, put_business, put_text, subscription};
use crate::StoreError;
use crate::settings::{Audit, Control, Expect, Hold, Put, Setting, SettingKey, SettingKind, SettingRow};
use lockstep_core::application::{Application, Token};
use lockstep_core::clock::Timestamp;
use lockstep_core::grant::{Ability, BusinessAccessRule, Grant, Narrowing, TypeAccess};
use lockstep_core::ids::{ApplicationId, BusinessId, OrganisationName, SubscriptionId, TokenId};
use lockstep_core::kind::Kind;
use lockstep_core::rate::RateLimit;
use lockstep_core::schema::Field;
use lockstep_core::schema::definition::TypeDefinition;
use lockstep_core::subscription::StartAt;
use std::sync::Arc;
use tokio::task::JoinSet;

async fn text_of(desk: &Desk<'_>, id: &str) -> Option<String> {
    let key = SettingKey::new(SettingKind::Sealing, id);
    let row = all(desk).await.into_iter().find(|row| row.key == key)?;
    match row.value? {
        Setting::Sealing(text) => Some(text),
        other => panic!("{other:?}"),
    }
}

async fn all(desk: &Desk<'_>) -> Vec<SettingRow> {
    desk.store.settings(0, 1_000).await.expect("settings are read").rows
}

/// Each expectation is held against the row as it stands.
pub async fn a_put_believes_what_stands(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let try_put = async |text: &str, expect| desk.control(control(vec![put_text("s", Some(text), expect)])).await;
    assert!(matches!(try_put("a", Expect::Version(1)).await, Err(StoreError::Conflict(_))), "nothing stands");
    let first = try_put("b", Expect::Absent).await.expect("there was none");
    assert!(matches!(try_put("c", Expect::Absent).await, Err(StoreError::Conflict(_))));
    let second = try_put("d", Expect::Version(first)).await.expect("unchanged since");
    assert!(second > first);
    let refused = try_put("e", Expect::Version(first)).await;
    let key = SettingKey::new(SettingKind::Sealing, "s");
    assert!(matches!(refused, Err(StoreError::Conflict(named)) if named == key), "the row is named");
    let third = try_put("f", Expect::Anything).await.expect("whatever stands");
    assert_eq!(text_of(&desk, "s").await.as_deref(), Some("f"));
    let removed = desk.control(control(vec![put_text("s", None, Expect::Version(third))])).await.expect("removed");
    assert!(removed > third);
    assert!(matches!(try_put("g", Expect::Version(third)).await, Err(StoreError::Conflict(_))));
    assert!(try_put("h", Expect::Absent).await.expect("a removed row counts as none") > removed);
}

/// Two creations of one thing at the same time: one wins.
pub async fn of_two_that_make_the_same_one_wins(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    for round in 0..5 {
        let id = format!("s{round}");
        let mut tasks = JoinSet::new();
        for caller in ["one", "two", "three"] {
            let (store, id) = (Arc::clone(&desk.store), id.clone());
            let put = put_text(&id, Some(caller), Expect::Absent);
            tasks.spawn(async move { (caller, control_to(&*store, None, control(vec![put])).await) });
        }
        let (mut winners, mut losers) = (Vec::new(), 0);
        while let Some(done) = tasks.join_next().await {
            match done.expect("no panic") {
                (caller, Ok(_)) => winners.push(caller),
                (_, Err(StoreError::Conflict(_))) => losers += 1,
                (_, Err(error)) => panic!("{error}"),
            }
        }
        assert_eq!((winners.len(), losers), (1, 2));
        assert_eq!(text_of(&desk, &id).await.as_deref(), winners.first().copied());
    }
}

/// A conflict in one put leaves all of them, and lanes and notices, unwritten.
pub async fn a_control_is_all_or_nothing(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    desk.control(control(vec![put_text("taken", Some("a"), Expect::Absent)])).await.expect("taken");
    let before = (all(&desk).await, desk.outlet(&desk.here).await.lanes);
    let puts = vec![
        put_text("new", Some("b"), Expect::Absent),
        put_business(&business("elsewhere")),
        put_text("taken", Some("c"), Expect::Absent),
    ];
    let lanes = vec![(desk.here.clone(), SubscriptionId(4), StartAt::Beginning)];
    let refused = desk.control(Control { lanes, ..control(puts) }).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!((all(&desk).await, desk.outlet(&desk.here).await.lanes), before);
    assert!(desk.store.changes(&business("elsewhere"), 0, 1).await.is_err(), "no log was begun");
}

/// A lane in a business that is not there, or a subscription dropped from one, refuses the whole control.
pub async fn a_control_that_names_an_unknown_business_writes_nothing(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let before = all(&desk).await;
    let puts = || vec![put_text("new", Some("b"), Expect::Absent), put_business(&business("elsewhere"))];
    let lanes = vec![
        (desk.here.clone(), SubscriptionId(4), StartAt::Beginning),
        (business("nowhere"), SubscriptionId(4), StartAt::Now),
    ];
    let refused = desk.control(Control { lanes, ..control(puts()) }).await;
    assert!(matches!(refused, Err(StoreError::UnknownBusiness(_))), "{refused:?}");
    let dropped = dropped(&business("nowhere"), SubscriptionId(4));
    let refused = desk.control(Control { dropped, ..control(puts()) }).await;
    assert!(matches!(refused, Err(StoreError::UnknownBusiness(_))), "{refused:?}");
    assert_eq!(all(&desk).await, before);
    assert!(desk.outlet(&desk.here).await.lanes.is_empty());
    assert!(desk.store.changes(&business("elsewhere"), 0, 1).await.is_err(), "no log was begun");
    assert!(desk.control(control(puts())).await.is_ok(), "and nothing of it stands in the way");
}

/// A reader that knows a version gets what is newer, in order, page by page; a row comes once, as it stands.
pub async fn settings_are_read_from_a_version_on(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let start = desk.store.settings(0, 1_000).await.expect("read").version;
    for text in ["a", "b", "c"] {
        desk.control(control(vec![put_text(text, Some("1"), Expect::Absent)])).await.expect("taken");
    }
    let last = desk.control(control(vec![put_text("a", Some("2"), Expect::Anything)])).await.expect("taken");
    for desk in [desk.reopen().await] {
        let page = desk.store.settings(start, 1_000).await.expect("read");
        let ids: Vec<_> = page.rows.iter().map(|row| row.key.id.as_str()).collect();
        assert_eq!((ids, page.version), (vec!["b", "c", "a"], last));
        assert!(page.rows.is_sorted_by(|one, two| one.version < two.version), "in order of version");
        let first = desk.store.settings(start, 2).await.expect("read");
        let known = first.rows.last().expect("two rows").version;
        let rest = desk.store.settings(known, 2).await.expect("read");
        assert_eq!([first.rows, rest.rows].concat(), page.rows, "pages join");
        let none = desk.store.settings(last, 10).await.expect("read");
        assert_eq!((none.rows.len(), none.version), (0, last));
    }
}

/// A removed setting is a row without a value, so that whoever knew it learns of it.
pub async fn a_removed_setting_says_so(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let made = desk.control(control(vec![put_text("s", Some("1"), Expect::Absent)])).await.expect("made");
    let removed = desk.control(control(vec![put_text("s", None, Expect::Anything)])).await.expect("removed");
    let desk = desk.reopen().await;
    let page = desk.store.settings(made, 10).await.expect("read");
    let row = SettingRow { key: SettingKey::new(SettingKind::Sealing, "s"), version: removed, value: None };
    assert_eq!((page.rows, page.version), (vec![row], removed));
}

fn token(application: &Application, here: &BusinessId) -> Token {
    Token {
        id: TokenId(7),
        application: application.id,
        parents: vec![TokenId(6)],
        label: "kiosk".to_owned(),
        key_digest: [9; 32],
        narrowing: Narrowing {
            businesses: Some([here.clone()].into()),
            abilities: Some([Ability::Read].into()),
            types: Some([(super::desk::contact(), [TypeAccess::Read].into())].into()),
            conditions: [(super::desk::contact(), ["age > 3".to_owned()].into())].into(),
            hidden_fields: [(super::desk::contact(), ["phone".to_owned()].into())].into(),
        },
        rate_limit: Some(RateLimit { per_second: 1, burst: Some(2) }),
        expires_at: Some(Timestamp(9)),
        created_at: Timestamp(4),
        revoked_at: None,
        made_by: "app_x".to_owned(),
    }
}

fn definition() -> TypeDefinition {
    let words = Kind::Enum(vec!["S".to_owned(), "L".to_owned()]);
    let size =
        Field { is_custom: true, is_unique: true, update_kind: Some("sized".to_owned()), ..Field::new("size", words) };
    TypeDefinition {
        label: Some("Person".to_owned()),
        fields: [(size.id.clone(), size)].into(),
        match_groups: vec![vec!["size".to_owned()]],
        ..TypeDefinition::default()
    }
}

/// Businesses, applications, subscriptions, slugs and texts come back as they went in, after reopening too.
pub async fn every_kind_of_setting_reads_back(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let application = Application {
        id: ApplicationId(9),
        label: "CRM Ünï".to_owned(),
        provider: super::desk::provider(),
        organisation: OrganisationName::parse("Org").expect("legal"),
        client_id: "client".to_owned(),
        secret_digest: [7; 32],
        key_digest: [8; 32],
        grant: Grant {
            business_access_rule: BusinessAccessRule {
                denied_business_ids: [desk.there.clone()].into(),
                allowed_business_ids: None,
            },
            abilities: Ability::usual(),
            types: None,
            conditions: [(super::desk::contact(), "city == 'Delft'".to_owned())].into(),
            hidden_fields: [(super::desk::contact(), ["notes".to_owned()].into())].into(),
        },
        rate_limit: Some(RateLimit::per_second(5)),
        created_at: Timestamp(3),
        is_revoked: false,
    };
    let (token, definition) = (token(&application, &desk.here), definition());
    let own = SubscriptionId(4);
    let hold = Hold { since: Timestamp(6), reason: "restored".to_owned() };
    let values = vec![
        (SettingKey::new(SettingKind::Application, application.id), Setting::Application(application)),
        (SettingKey::new(SettingKind::Subscription, own), Setting::Subscription(subscription(own, &desk.here))),
        (SettingKey::new(SettingKind::Provider, "Org crm"), Setting::Provider(ApplicationId(9))),
        (SettingKey::new(SettingKind::Sealing, "check"), Setting::Sealing("sealed".to_owned())),
        (SettingKey::new(SettingKind::Hold, "delivery"), Setting::Hold(hold)),
        (SettingKey::new(SettingKind::Token, token.id), Setting::Token(token)),
        (SettingKey::of_type(&desk.here, &super::desk::contact()), Setting::Type(definition)),
    ];
    let put = |(key, value): &(SettingKey, Setting)| Put {
        key: key.clone(),
        value: Some(value.clone()),
        expect: Expect::Absent,
    };
    desk.control(control(values.iter().map(put).collect())).await.expect("taken");
    let desk = desk.reopen().await;
    let rows = all(&desk).await;
    for (key, value) in values {
        let row = rows.iter().find(|row| row.key == key).expect("the row is there");
        assert_eq!(row.value.as_ref(), Some(&value));
    }
    let key = SettingKey::new(SettingKind::Business, &desk.here);
    let row = rows.iter().find(|row| row.key == key).expect("the business is there");
    assert_eq!(row.value, put_business(&desk.here).value);
}

/// Who did what is read newest first, page by page, of one business or of all.
pub async fn the_audit_log_is_read_newest_first_by_business_or_whole(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let before = desk.store.audit(None, i64::MAX, 1_000).await.expect("read").len();
    for (number, business) in [Some(&desk.here), None, Some(&desk.there), Some(&desk.here)].into_iter().enumerate() {
        let mut one = control(vec![put_text(&format!("s{number}"), Some("1"), Expect::Absent)]);
        one.audit = Audit::of(Timestamp(5), "app_1", "try.it", number);
        one.audit.business = business.cloned();
        desk.control(one).await.expect("taken");
    }
    let refused = control(vec![put_text("s0", Some("2"), Expect::Absent)]);
    assert!(desk.control(refused).await.is_err(), "what was not done is not entered");
    let desk = desk.reopen().await;
    let read = async |business, before_row, limit| {
        let rows = desk.store.audit(business, before_row, limit).await.expect("read");
        assert!(rows.is_sorted_by(|one, two| one.0 > two.0), "newest first");
        rows
    };
    let subjects = |rows: &[(i64, Audit)]| rows.iter().map(|(_, audit)| audit.subject.clone()).collect::<Vec<_>>();
    let all = read(None, i64::MAX, 1_000).await;
    assert_eq!(all.len(), before + 4);
    assert_eq!(subjects(&all)[..4], ["3", "2", "1", "0"]);
    assert_eq!((all[0].1.at, all[0].1.by.as_str(), all[0].1.action.as_str()), (Timestamp(5), "app_1", "try.it"));
    let own = read(Some(&desk.here), i64::MAX, 1_000).await;
    assert_eq!(subjects(&own)[..2], ["3", "0"]);
    assert!(own.iter().all(|(_, audit)| audit.business.as_ref() == Some(&desk.here)));
    let first = read(Some(&desk.here), i64::MAX, 1).await;
    let rest = read(Some(&desk.here), first[0].0, 1_000).await;
    assert_eq!([first, rest].concat(), own, "pages join");
}
