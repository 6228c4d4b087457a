//! The platforms of trial n, both in the load generator's process on a thread of their own: one that lists people, and
//! one that is empty and takes them in batches. Pages are made beforehand; what is written is counted and let go.

use crate::bench::load::{Marks, on_own_runtime};
use anyhow::Context;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use http::Uri;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// People of one page.
const PAGE: usize = 500;
/// How the city of an edited person begins; their number follows.
const EDITED: &str = "Edited ";

/// The platforms; dropped, they end.
pub(super) struct Platform {
    address: SocketAddr,
    seen: Arc<Seen>,
    _until: oneshot::Sender<()>,
}

/// What was written.
#[derive(Default)]
struct Seen {
    pages: Vec<Bytes>,
    created: AtomicU64,
    marks: Mutex<Option<Arc<Marks>>>,
}

impl Platform {
    /// Starts both, the one with so many people.
    pub(super) async fn start(people: usize) -> anyhow::Result<Self> {
        let pages = (0..people.div_ceil(PAGE)).map(|page| page_of(page, people)).collect();
        let seen = Arc::new(Seen { pages, ..Seen::default() });
        let (until, ended) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let state = Arc::clone(&seen);
        std::thread::spawn(move || on_own_runtime(serve(state, tell, ended)));
        Ok(Self { address: told.await.context("starting the platforms")?, seen, _until: until })
    }

    /// Where one of them is: `from` or `to`.
    pub(super) fn url(&self, which: &str) -> String {
        format!("http://{}/{which}", self.address)
    }

    /// How many were made at the second.
    pub(super) fn created(&self) -> u64 {
        self.seen.created.load(Ordering::Relaxed)
    }

    /// From now on the arrival of an edit is marked.
    pub(super) fn mark(&self, marks: Arc<Marks>) {
        *self.seen.marks.lock().unwrap_or_else(PoisonError::into_inner) = Some(marks);
    }
}

async fn serve(seen: Arc<Seen>, tell: oneshot::Sender<SocketAddr>, ended: oneshot::Receiver<()>) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let from = Router::new().route("/people", get(page)).route("/people/{id}", get(edited));
    let to = Router::new().route("/people", get(nobody).put(write));
    let identified = |router: Router<Arc<Seen>>, name: &'static str| {
        router.route("/me", get(async move || ([(CONTENT_TYPE, "application/json")], json!({"id": name}).to_string())))
    };
    let router =
        Router::new().nest("/from", identified(from, "from")).nest("/to", identified(to, "to")).with_state(seen);
    tell.send(listener.local_addr()?).ok();
    let listener = listener.tap_io(|stream| {
        stream.set_nodelay(true).ok();
    });
    tokio::select! {
        served = axum::serve(listener, router) => served?,
        _ = ended => {}
    }
    Ok(())
}

fn answer(body: impl Into<Bytes>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], body.into())
}

async fn page(State(seen): State<Arc<Seen>>, url: Uri) -> impl IntoResponse {
    let mut parameters = url.query().unwrap_or_default().split('&');
    let offset = parameters.find_map(|one| one.strip_prefix("offset=")?.parse::<usize>().ok()).unwrap_or_default();
    answer(seen.pages.get(offset / PAGE).cloned().unwrap_or_else(|| Bytes::from_static(br#"{"data":[]}"#)))
}

async fn nobody() -> impl IntoResponse {
    answer(Bytes::from_static(br#"{"data":[]}"#))
}

/// Whoever is asked for by id has been edited.
async fn edited(Path(id): Path<u64>) -> impl IntoResponse {
    answer(person(id, &format!("{EDITED}{id}"), 2).to_string())
}

async fn write(State(seen): State<Arc<Seen>>, body: Bytes) -> impl IntoResponse {
    let items: Vec<Value> = serde_json::from_slice(&body).unwrap_or_default();
    let marks = seen.marks.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let written = items.iter().map(|item| {
        let id = item.get("id").filter(|id| !id.is_null()).cloned();
        let is_new = id.is_none();
        let number = seen.created.fetch_add(u64::from(is_new), Ordering::Relaxed);
        let city = item.pointer("/person/city").and_then(Value::as_str).unwrap_or_default();
        if let (Some(marks), Some(number)) = (&marks, city.strip_prefix(EDITED).and_then(|rest| rest.parse().ok())) {
            marks.note(number, |mark| &mark.arrived);
        }
        json!({"token": item.get("token"), "id": id.unwrap_or_else(|| json!(format!("t{number}"))), "new": is_new})
    });
    answer(Value::Array(written.collect()).to_string())
}

fn page_of(page: usize, people: usize) -> Bytes {
    let numbers = (page * PAGE..people.min((page + 1) * PAGE)).map(|number| person(number as u64, "Utrecht", 1));
    Bytes::from(json!({"data": numbers.collect::<Vec<_>>()}).to_string())
}

fn person(number: u64, city: &str, version: u32) -> Value {
    json!({
        "id": number.to_string(), "version": version.to_string(), "email": format!("person{number}@example.com"),
        "first": format!("First{number}"), "last": format!("Last{}", number % 977), "city": city,
        "phone": format!("+3161{:07}", number % 10_000_000),
    })
}
