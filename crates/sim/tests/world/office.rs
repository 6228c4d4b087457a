//! An office: one business whose types are its own to change, and short words for changing and querying them.

use lockstep_core::error::Code;
use lockstep_core::ids::RecordId;
use lockstep_core::rules::query::filter::Op;
use lockstep_engine::World as Engine;
use lockstep_engine::control::types;
use lockstep_engine::ingest::{Call, Verb, submit};
use lockstep_engine::principal::Principal;
use lockstep_engine::query::{self, Filter, Page, Query};
use lockstep_engine::refusal::Refusal;
use lockstep_sim::world::{App, World, principal, simulate};
use lockstep_wire::types::{FieldView, TypeView};
use serde_json::Value;
use std::sync::Arc;

pub(crate) const BUSINESS: &str = "a1";

pub(crate) struct Office {
    pub(crate) world: World,
    pub(crate) engine: Arc<Engine>,
}

/// Runs a story in an office.
pub(crate) fn in_office<F: Future<Output = ()>>(story: impl FnOnce(Office) -> F) {
    let begun = async {
        let world = World::begin(11).await?;
        world.business("Acme", BUSINESS).await?;
        let engine = world.engine()?;
        story(Office { world, engine }).await;
        Ok(())
    };
    simulate(begun).expect("the story goes as told");
}

pub(crate) fn code<T: std::fmt::Debug>(done: Result<T, Refusal>) -> Code {
    done.expect_err("a refusal").rejection.code
}

impl Office {
    pub(crate) async fn application(&self, label: &str, grant: Value) -> (App, Principal) {
        let app = self.world.application("Acme", label, grant).await.expect("made");
        let who = principal(&self.engine, &app).expect("living");
        (app, who)
    }

    pub(crate) async fn make_type(&self, body: Value) -> Result<TypeView, Refusal> {
        let body = serde_json::from_value(body).expect("a body");
        types::create(&self.engine, &Principal::Admin, BUSINESS, body).await
    }

    pub(crate) async fn add(&self, ty: &str, field: Value) -> Result<FieldView, Refusal> {
        let body = serde_json::from_value(field).expect("a body");
        types::create_field(&self.engine, &Principal::Admin, (BUSINESS, ty), body).await
    }

    pub(crate) async fn change(&self, ty: &str, field: &str, body: Value) -> Result<FieldView, Refusal> {
        self.change_as(&Principal::Admin, ty, field, body).await
    }

    pub(crate) async fn change_as(
        &self,
        who: &Principal,
        ty: &str,
        field: &str,
        body: Value,
    ) -> Result<FieldView, Refusal> {
        let body = serde_json::from_value(body).expect("a body");
        types::update_field(&self.engine, who, (BUSINESS, ty, field), body).await
    }

    pub(crate) async fn remove(&self, ty: &str, field: &str) -> Result<(), Refusal> {
        types::delete_field(&self.engine, &Principal::Admin, (BUSINESS, ty, field)).await
    }

    pub(crate) async fn submit(&self, ty: &str, verb: Verb<'_>) -> Result<RecordId, Refusal> {
        let principal = &Principal::Admin;
        let call = Call { principal, business: BUSINESS, ty, verb, if_match: None, idempotency: None, bytes: b"" };
        let outcome = submit(&self.engine, call).await?;
        if let lockstep_core::command::Ending::Failed(rejection) = outcome.ending {
            return Err(rejection.into());
        }
        Ok(outcome.record.expect("a record"))
    }

    pub(crate) async fn create(&self, ty: &str, fields: Value) -> Result<RecordId, Refusal> {
        let fields = fields.as_object().cloned().expect("an object");
        self.submit(ty, Verb::Create { fields, external_id: None, matching: &[] }).await
    }

    pub(crate) async fn update(&self, ty: &str, id: RecordId, patch: Value) -> Result<RecordId, Refusal> {
        let patch = patch.as_object().cloned().expect("an object");
        self.submit(ty, Verb::Update { id: &id.to_string(), patch }).await
    }

    pub(crate) async fn delete(&self, ty: &str, id: RecordId) {
        self.submit(ty, Verb::Delete { id: &id.to_string() }).await.expect("deleted");
    }

    pub(crate) async fn page(&self, who: &Principal, ty: &str, query: Query) -> Result<Page, Refusal> {
        query::query(&self.engine, who, BUSINESS, ty, query).await
    }

    /// Every record that a query finds, page by page.
    pub(crate) async fn all(&self, who: &Principal, ty: &str, query: &Query) -> Result<Vec<RecordId>, Refusal> {
        let (mut query, mut found) = (query.clone(), Vec::new());
        loop {
            let page = self.page(who, ty, query.clone()).await?;
            assert!(page.records.len() <= query.limit.unwrap_or(50), "a page is no longer than asked for");
            found.extend(page.records.iter().map(|record| record.id));
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => return Ok(found),
            }
        }
    }
}

/// `field[op]=value`, with `|` between several values.
pub(crate) fn filter(field: &str, op: &str, values: &str) -> Filter {
    let op = Op::parse(op).expect("an operator");
    Filter { field: field.to_owned(), op, values: values.split('|').map(str::to_owned).collect() }
}

pub(crate) fn asked(filters: Vec<Filter>, order: Option<(&str, bool)>) -> Query {
    let order = order.map(|(field, is_descending)| (field.to_owned(), is_descending));
    Query { filters, order, ..Query::default() }
}

pub(crate) fn field(id: &str, kind: &str, more: &Value) -> Value {
    let mut body = more.as_object().cloned().unwrap_or_default();
    body.extend([("id".to_owned(), id.into()), ("kind".to_owned(), kind.into())]);
    body.into()
}
