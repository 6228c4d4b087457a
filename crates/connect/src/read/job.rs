//! A slice read by a job of the platform: ordered, waited for, and what it made fetched page by page.

use std::sync::Arc;
use std::time::Duration;

use async_stream::try_stream;
use futures_util::{Stream, StreamExt as _};
use lockstep_expr::interpolation::{Bound, Scope};
use lockstep_manifest::AsyncJobStatusMap;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::call::{Answer, Caller};
use crate::cursor::{Progress, Rules};
use crate::draft::Draft;
use crate::failure::Failure;
use crate::partition::Router;
use crate::read::pages::{Fetched, Pages};
use crate::reply::Reply;
use crate::select::Selector;
use crate::slice::Slice;
use crate::{dpath, python};

/// Between two questions whether a job is done, at first; twice as long each time.
const ASK_FIRST: Duration = Duration::from_millis(500);
const ASK_MAX: Duration = Duration::from_secs(10);
/// Orders of a job that fails.
const ORDERS_MAX: u32 = 3;

/// Reads slices by jobs.
pub(crate) struct Job {
    pub(crate) creation: Caller,
    pub(crate) polling: Caller,
    pub(crate) status_path: Vec<String>,
    pub(crate) statuses: AsyncJobStatusMap,
    pub(crate) timeout: Duration,
    pub(crate) targets: Option<Vec<String>>,
    pub(crate) target_caller: Option<Caller>,
    pub(crate) download: Pages,
    pub(crate) selector: Selector,
    pub(crate) abort: Option<Caller>,
    pub(crate) delete: Option<Caller>,
    pub(crate) rules: Option<Arc<Rules>>,
}

enum Status {
    Running,
    Completed,
    Skipped,
    Failed(String),
}

/// How waiting for a job ended.
enum Ended {
    Done(Box<Done>),
    Nothing,
    Failed(String),
}

/// A job that is done, and what was answered on the way.
struct Done {
    created: Arc<Value>,
    polled: Reply,
}

impl Job {
    pub(crate) fn of<'a>(
        &'a self,
        slice: &'a Slice,
        router: Option<&'a Router>,
        progress: Option<&'a Progress>,
    ) -> impl Stream<Item = Result<Fetched, Failure>> + Send + 'a {
        try_stream! {
            // All that it shows stood there when it was ordered, and may have changed since.
            let asked_at = self.creation.scope().now();
            let Some(done) = self.run(slice, router).await? else { return };
            let polled = seen(&done.polled);
            for target in self.targets(slice, &done, &polled).await? {
                let (created, polled, target) = (Arc::clone(&done.created), Arc::clone(&polled), Arc::new(target));
                let more = move |scope: Scope| {
                    let scope = scope.with("creation_response", Bound::from(Arc::clone(&created)));
                    let scope = scope.with("polling_response", Bound::from(Arc::clone(&polled)));
                    scope.with("download_target", Bound::from(Arc::clone(&target)))
                };
                let mut pages = std::pin::pin!(self.download.of(slice, None, None, (None, &more)));
                while let Some(page) = pages.next().await {
                    yield Fetched { asked_at, ..self.page(page?, slice, progress) };
                }
            }
            if let Some(delete) = &self.delete
                && let Err(failure) = self.call(delete, slice, &done.created, None).await
            {
                // All was read: what is left behind there is told, and is no gap.
                let problems = vec![format!("the job could not be cleared away: {failure}")];
                yield Fetched { problems, ..Fetched::default() };
            }
        }
    }

    /// Filters and changes what was fetched.
    fn page(&self, page: Fetched, slice: &Slice, progress: Option<&Progress>) -> Fetched {
        let scope = self.creation.scope().with("stream_slice", slice.bound()).with("next_page_token", Value::Null);
        let now = scope.now();
        let documents = page.records.into_iter().map(Arc::unwrap_or_clone).collect();
        let compared = progress.filter(|_| self.rules.as_ref().is_some_and(|rules| rules.is_client_side));
        let mut is_kept = |record: &Value| compared.is_none_or(|known| known.is_new(record, now));
        let mut selected = self.selector.select(documents, &scope, &mut is_kept);
        selected.problems.splice(0..0, page.problems);
        let newest = self.rules.as_ref().and_then(|rules| rules.newest(&selected.records, now));
        Fetched { records: selected.records, newest, problems: selected.problems, ..Fetched::default() }
    }

    /// Orders the job until one is done; `None` where the platform has nothing to give.
    async fn run(&self, slice: &Slice, router: Option<&Router>) -> Result<Option<Done>, Failure> {
        let mut failed = String::new();
        for order in 1..=ORDERS_MAX {
            let scope = self.creation.scope().with("stream_slice", slice.bound()).with("next_page_token", Value::Null);
            let inject = |draft: &mut Draft| {
                if let Some(rules) = &self.rules {
                    rules.inject(draft, slice, &scope)?;
                }
                router.map_or(Ok(()), |router| router.inject(draft, slice, &scope))
            };
            let Answer::Reply(created) = self.creation.call(&scope, None, inject).await? else {
                return Err(Failure::system("the answer to the order of a job is ignored by its error handler"));
            };
            match self.wait(slice, &seen(&created)).await? {
                Ended::Done(done) => return Ok(Some(*done)),
                Ended::Nothing => return Ok(None),
                Ended::Failed(how) => {
                    tracing::info!(order, how, "a job failed");
                    failed = how;
                }
            }
        }
        Err(Failure::transient(format!("the job {failed}, {ORDERS_MAX} times; run again later")))
    }

    async fn wait(&self, slice: &Slice, created: &Arc<Value>) -> Result<Ended, Failure> {
        let began = Instant::now();
        let mut pause = ASK_FIRST;
        loop {
            let polled = self.call(&self.polling, slice, created, None).await?;
            match self.status(&polled)? {
                Status::Completed => return Ok(Ended::Done(Box::new(Done { created: Arc::clone(created), polled }))),
                Status::Skipped => return Ok(Ended::Nothing),
                Status::Failed(status) => return Ok(Ended::Failed(format!("ended as {status:?}"))),
                Status::Running if began.elapsed() > self.timeout => {
                    if let Some(abort) = &self.abort {
                        self.call(abort, slice, created, None).await?;
                    }
                    return Ok(Ended::Failed(format!("was not done after {} minutes", self.timeout.as_secs() / 60)));
                }
                Status::Running => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(ASK_MAX);
        }
    }

    fn status(&self, polled: &Reply) -> Result<Status, Failure> {
        let body =
            polled.json().ok_or_else(|| Failure::system(format!("{} answers without JSON", polled.shown_url())))?;
        let status = match dpath::get(&body, &self.status_path) {
            Some(Value::Array(items)) => items.first().map(python::text),
            other => other.map(python::text),
        };
        let status = status.ok_or_else(|| {
            Failure::system(format!(
                "the answer of {} has no status at `{}`",
                polled.shown_url(),
                self.status_path.join(".")
            ))
        })?;
        let map = &self.statuses;
        if map.completed.contains(&status) {
            Ok(Status::Completed)
        } else if map.running.contains(&status) {
            Ok(Status::Running)
        } else if map.skipped.contains(&status) {
            Ok(Status::Skipped)
        } else if map.failed.contains(&status) || map.timeout.contains(&status) {
            Ok(Status::Failed(status))
        } else {
            Err(Failure::system(format!(
                "the status {status:?} of a job is not in the manifest's `status_mapping`; add it there"
            )))
        }
    }

    async fn call(
        &self,
        caller: &Caller,
        slice: &Slice,
        created: &Arc<Value>,
        polled: Option<&Arc<Value>>,
    ) -> Result<Reply, Failure> {
        let mut scope = caller.scope().with("stream_slice", slice.bound()).with("next_page_token", Value::Null);
        scope.set("creation_response", Bound::from(Arc::clone(created)));
        if let Some(polled) = polled {
            scope.set("polling_response", Bound::from(Arc::clone(polled)));
        }
        match caller.call(&scope, None, |_| Ok(())).await? {
            Answer::Reply(reply) => Ok(*reply),
            Answer::Nothing | Answer::Reset => {
                Err(Failure::system("an answer about a job is ignored by its error handler"))
            }
        }
    }

    /// Where what the job made can be fetched.
    async fn targets(&self, slice: &Slice, done: &Done, polled: &Arc<Value>) -> Result<Vec<Value>, Failure> {
        let Some(path) = &self.targets else { return Ok(vec![Value::String(String::new())]) };
        let found = match &self.target_caller {
            Some(caller) => self.call(caller, slice, &done.created, Some(polled)).await?.json(),
            None => done.polled.json(),
        };
        let mut body = found.map(Arc::unwrap_or_clone).unwrap_or_default();
        let taken = dpath::take_all(&mut body, path);
        let flat = taken.into_iter().flat_map(|found| match found {
            Value::Array(items) => items,
            one => vec![one],
        });
        Ok(flat.filter(python::is_true).collect())
    }
}

/// An answer as templates see it: its fields, and its headers.
fn seen(reply: &Reply) -> Arc<Value> {
    let mut fields = match reply.json().map(Arc::unwrap_or_clone) {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let text = |value: &http::HeaderValue| Value::from(String::from_utf8_lossy(value.as_bytes()));
    let headers: Map<String, Value> =
        reply.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    fields.entry("headers").or_insert(Value::Object(headers));
    Arc::new(Value::Object(fields))
}
