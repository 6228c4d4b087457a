//! `/runs` and `/problems`: bulk executions of shares, and what they could not do.

use super::doc::{Doc, PageOf, doc};
use super::{Answer, Asked, ok};
use crate::Server;
use axum::extract::State;
use lockstep_core::error::Code;
use lockstep_core::limits;
use lockstep_engine::refusal::Refusal;
use lockstep_sync::control::problem::Deed;
use lockstep_sync::control::run::Step;
use lockstep_sync::control::{problem, run};
use lockstep_wire::run::{ProblemView, ProblemsBody, ProblemsReplayed, RunView};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type OfAll = Asked<String>;
type OfOne = Asked<(String, String)>;

/// Runs or problems of a page where nothing is said.
const PAGE_USUAL: usize = 50;

fn of_share(doc: Doc) -> Doc {
    doc.query("share", &json!({"type": "string"}), "Those of this share.")
}

pub(crate) fn list_doc() -> Doc {
    of_share(doc("Runs", "List runs"))
        .about("Newest first.")
        .paged(limits::PAGE_ROWS_MAX)
        .gives::<PageOf<RunView>>(200, "A page of them.")
        .codes(&[Code::NotFound])
}

pub(crate) async fn list(State(server): State<Server>, asked: OfAll) -> Answer {
    let parameters = asked.parameters(&["share", "limit", "cursor"])?;
    let limit = super::limit(&parameters, PAGE_USUAL, limits::PAGE_ROWS_MAX)?;
    let before = super::after(&parameters)?;
    let of = (asked.places.as_str(), parameters.get("share").map(String::as_str));
    let mut all = run::list(&server.sharing, &asked.principal, of, before, limit + 1).await?;
    let cursor = all.get(limit.saturating_sub(1)).filter(|_| all.len() > limit).map(|view| view.id.to_string());
    all.truncate(limit);
    asked.page(all, cursor.as_deref())
}

pub(crate) fn get_doc() -> Doc {
    doc("Runs", "Read a run").gives::<RunView>(200, "It, with its counts.").codes(&[Code::NotFound])
}

pub(crate) async fn get(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    ok(&run::get(&server.sharing, &asked.principal, business, id).await?)
}

fn step_doc(summary: &'static str) -> Doc {
    doc("Runs", summary).gives::<RunView>(200, "It as it now stands.").codes(&[Code::NotFound, Code::RunUnderWay])
}

async fn step(server: &Server, asked: &OfOne, step: Step) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    ok(&run::step(&server.sharing, &asked.principal, (business, id), step).await?)
}

pub(crate) fn pause_doc() -> Doc {
    step_doc("Pause a run")
}

pub(crate) async fn pause(State(server): State<Server>, asked: OfOne) -> Answer {
    step(&server, &asked, Step::Pause).await
}

pub(crate) fn resume_doc() -> Doc {
    step_doc("Resume a run")
}

pub(crate) async fn resume(State(server): State<Server>, asked: OfOne) -> Answer {
    step(&server, &asked, Step::Resume).await
}

pub(crate) fn cancel_doc() -> Doc {
    step_doc("Cancel a run")
}

pub(crate) async fn cancel(State(server): State<Server>, asked: OfOne) -> Answer {
    step(&server, &asked, Step::Cancel).await
}

pub(crate) fn problems_doc() -> Doc {
    of_share(doc("Problems", "List problems"))
        .about("Objects and records that could not be taken in or brought over. Each goes when it next applies.")
        .query("side", &json!({"type": "string", "enum": ["in", "out"]}), "Those going this way.")
        .query("code", &json!({"type": "string"}), "Those for this reason, such as `ambiguous_match`.")
        .paged(limits::PAGE_ROWS_MAX)
        .gives::<PageOf<ProblemView>>(200, "A page of them.")
        .codes(&[Code::NotFound])
}

pub(crate) async fn problems(State(server): State<Server>, asked: OfAll) -> Answer {
    let parameters = asked.parameters(&["share", "side", "code", "limit", "cursor"])?;
    let limit = super::limit(&parameters, PAGE_USUAL, limits::PAGE_ROWS_MAX)?;
    let body = problems_body(&parameters)?;
    let cursor = parameters.get("cursor").map(String::as_str);
    let page = problem::list(&server.sharing, &asked.principal, &asked.places, &body, (cursor, limit)).await?;
    asked.page(page.problems, page.next.as_deref())
}

/// The query as the body that [`replay_all`] takes.
fn problems_body(parameters: &BTreeMap<String, String>) -> Result<ProblemsBody, Refusal> {
    let asked = ["share", "side", "code"].into_iter();
    let asked = asked.filter_map(|name| Some((name.to_owned(), Value::from(parameters.get(name)?.as_str()))));
    serde_json::from_value(Value::Object(asked.collect()))
        .map_err(|error| Refusal::new(Code::InvalidParameter, format!("the query does not fit this call: {error}")))
}

pub(crate) fn problem_doc() -> Doc {
    doc("Problems", "Read a problem").gives::<ProblemView>(200, "It.").codes(&[Code::NotFound])
}

pub(crate) async fn problem(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    ok(&problem::get(&server.sharing, &asked.principal, business, id).await?)
}

async fn done(server: &Server, asked: &OfOne, deed: Deed) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    ok(&problem::done(&server.sharing, &asked.principal, (business, id), deed).await?)
}

pub(crate) fn replay_doc() -> Doc {
    doc("Problems", "Try once more")
        .about("It goes by itself when that works.")
        .gives::<ProblemView>(200, "It as it stood.")
        .codes(&[Code::NotFound])
}

pub(crate) async fn replay(State(server): State<Server>, asked: OfOne) -> Answer {
    done(&server, &asked, Deed::Replay).await
}

pub(crate) fn dismiss_doc() -> Doc {
    doc("Problems", "Dismiss a problem")
        .about("It comes up anew where the same fails again.")
        .gives::<ProblemView>(200, "It as it stood.")
        .codes(&[Code::NotFound])
}

pub(crate) async fn dismiss(State(server): State<Server>, asked: OfOne) -> Answer {
    done(&server, &asked, Deed::Dismiss).await
}

pub(crate) fn replay_all_doc() -> Doc {
    doc("Problems", "Try many once more")
        .about("Those that are all of what is said; all there are where nothing is.")
        .takes::<ProblemsBody>()
        .gives::<ProblemsReplayed>(200, "How many, and whether there are more.")
        .codes(&[Code::NotFound])
}

pub(crate) async fn replay_all(State(server): State<Server>, asked: OfAll) -> Answer {
    let body: ProblemsBody = asked.read()?;
    ok(&problem::replay_all(&server.sharing, &asked.principal, &asked.places, &body).await?)
}
