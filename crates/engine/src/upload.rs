//! Uploads: `create-many`, a record a line, of any size.
//!
//! Lines become durable in batches while they arrive; one batch is written while the next is read, and a caller who
//! is faster than the disk is made to wait by not being read from. A broken upload leaves its durable lines and an
//! operation that says where it stopped; sent again under the same idempotency key it skips what is durable, after
//! making sure that it begins with the same lines.

use crate::World;
use crate::ingest::{Call, Verb, fresh, match_groups, own_external_id, submit, target};
use crate::principal::Principal;
use crate::refusal::Refusal;
use aws_lc_rs::digest::{Context, SHA256};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lockstep_core::Fields;
use lockstep_core::application::Business;
use lockstep_core::command::{Action, Command, MatchGroup};
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::grant::{Ability, TypeAccess};
use lockstep_core::ids::TypeId;
use lockstep_core::limits;
use lockstep_core::operation::{OperationId, OperationState, Upload};
use lockstep_core::rules::check;
use lockstep_core::rules::scope::Reach;
use lockstep_store::upload::{Batch, Line};
use lockstep_store::{Commit, Committed, StoreError, Work};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Uploads under way in this process.
#[derive(Debug, Default)]
pub struct Uploads(Mutex<BTreeSet<OperationId>>);

impl Uploads {
    /// Whether this one is.
    #[must_use]
    pub fn is_under_way(&self, id: OperationId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    fn begin(&self, id: OperationId) -> Result<(), Refusal> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = |text: String| Refusal { retry_after_s: Some(5), ..Refusal::new(Code::Busy, text) };
        if under_way.len() >= limits::UPLOADS_MAX {
            return Err(wait(format!("{} uploads are under way, the most at a time: try again soon", under_way.len())));
        }
        if !under_way.insert(id) {
            return Err(wait(format!("the upload {id} is still under way: wait until its connection has ended")));
        }
        Ok(())
    }

    fn end(&self, id: OperationId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// A record's fields.
    #[default]
    Records,
    /// `{"op", "id", "fields"}`.
    Ops,
}

/// A line of form `ops`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Op {
    op: OpName,
    id: Option<String>,
    #[serde(default)]
    fields: Fields,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OpName {
    Create,
    Update,
    Delete,
}

type Writing = BoxFuture<'static, Result<Committed, StoreError>>;

/// An upload under way.
pub struct Uploading {
    world: Arc<World>,
    principal: Principal,
    business: Arc<Business>,
    ty: TypeId,
    reach: Arc<Reach>,
    form: Form,
    matching: Vec<MatchGroup>,
    operation: OperationId,
    /// How it stood when it began: lines that are durable are only compared.
    standing: Upload,
    taken: u64,
    digest: Context,
    lines: Vec<Line>,
    bytes: usize,
    writing: Option<Writing>,
}

impl Drop for Uploading {
    fn drop(&mut self) {
        self.world.uploads.end(self.operation);
    }
}

/// Begins an upload, or goes on with one.
///
/// # Errors
/// What is wrong with the request; `idempotency_conflict`; `busy`.
pub async fn begin(world: &Arc<World>, call: Call<'_>, form: Form, matching: &[String]) -> Result<Uploading, Refusal> {
    let business = call.principal.business(world, call.business)?;
    let shape = world.shape(&business.id, call.ty)?;
    let principal = call.principal.clone();
    let reach = principal.reach(&business, &shape.id, TypeAccess::Write)?;
    let matching = match_groups(&shape, &reach, matching)?;
    let outcome = submit(world, Call { verb: Verb::CreateMany, ..call }).await?;
    let operation = outcome.operation;
    let row = world.store.operation(&business.id, operation).await?.map(|found| found.state);
    let Some(OperationState::Upload(standing)) = row else {
        return Err(StoreError::Failed(format!("the upload {operation} has no row")).into());
    };
    world.uploads.begin(operation)?;
    Ok(Uploading {
        world: Arc::clone(world),
        principal,
        business,
        ty: shape.id.clone(),
        reach,
        form,
        matching,
        operation,
        standing,
        taken: 0,
        digest: Context::new(&SHA256),
        lines: Vec::new(),
        bytes: 0,
        writing: None,
    })
}

impl Uploading {
    /// The upload's operation.
    #[must_use]
    pub const fn operation(&self) -> OperationId {
        self.operation
    }

    /// Takes the next line; blank ones are passed over. `None` stands for one that is over the limit.
    ///
    /// # Errors
    /// Why the upload cannot go on; what is durable stays. A line that is wrong by itself is no error: it fails, and
    /// the upload goes on.
    pub async fn line(&mut self, line: Option<&[u8]>) -> Result<(), Refusal> {
        if line.is_some_and(|line| line.iter().all(u8::is_ascii_whitespace)) {
            return Ok(());
        }
        let text = line.unwrap_or_default();
        self.digest.update(&(text.len() as u64).to_be_bytes());
        self.digest.update(text);
        self.taken += 1;
        if self.taken <= self.standing.lines {
            return if self.taken == self.standing.lines { self.begins_the_same() } else { Ok(()) };
        }
        if self.standing.is_complete {
            return Err(self.differs());
        }
        let line = match line {
            Some(text) => self.parse(text).map_or_else(Line::Refused, |command| Line::Asks(Box::new(command))),
            None => {
                let most = limits::RECORD_BYTES_MAX;
                Line::Refused(Rejection::new(Code::BodyTooLarge, format!("the line is over the limit of {most} bytes")))
            }
        };
        self.lines.push(line);
        self.bytes += text.len();
        if self.lines.len() >= limits::UPLOAD_BATCH_LINES || self.bytes >= limits::UPLOAD_BATCH_BYTES {
            self.write(false).await?;
        }
        Ok(())
    }

    /// Makes the last lines durable and ends the upload.
    ///
    /// # Errors
    /// Why it could not.
    pub async fn finish(mut self) -> Result<OperationId, Refusal> {
        if self.taken < self.standing.lines {
            return Err(self.differs());
        }
        if !self.standing.is_complete {
            self.write(true).await?;
            self.land().await?;
        }
        Ok(self.operation)
    }

    /// Makes the lines that came durable before an upload that broke off is let go.
    ///
    /// # Errors
    /// Why they could not be.
    pub async fn break_off(mut self) -> Result<(), Refusal> {
        if !self.lines.is_empty() {
            self.write(false).await?;
        }
        self.land().await
    }

    fn short_digest(&self) -> [u8; 16] {
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(self.digest.clone().finish().as_ref()) {
            *to = *from;
        }
        short
    }

    fn begins_the_same(&self) -> Result<(), Refusal> {
        if self.short_digest() == self.standing.digest { Ok(()) } else { Err(self.differs()) }
    }

    fn differs(&self) -> Refusal {
        let text = format!(
            "this idempotency key belongs to the upload {}, whose first {} lines differ from these: send the same \
             lines, or another key",
            self.operation, self.standing.lines
        );
        Refusal::new(Code::IdempotencyConflict, text)
    }

    /// Hands the lines at hand to the writer, once it has taken those before.
    async fn write(&mut self, is_last: bool) -> Result<(), Refusal> {
        self.land().await?;
        // A grant that was taken back holds from here on.
        let principal = self.principal.renewed(&self.world)?;
        self.business = principal.business(&self.world, self.business.id.as_str())?;
        principal.must(Ability::Write)?;
        self.reach = principal.reach(&self.business, &self.ty, TypeAccess::Write)?;
        let owner = principal.owner(&self.business.id);
        let lines = std::mem::take(&mut self.lines);
        let after = self.taken - lines.len() as u64;
        let batch = Batch {
            business: owner.business.clone(),
            operation: self.operation,
            after,
            lines,
            digest: self.short_digest(),
            is_last,
            tell: self.world.settings.read(|settings| settings.tell(&owner).completed.clone()),
        };
        self.bytes = 0;
        let store = Arc::clone(&self.world.store);
        let commit = Commit { id: None, work: Work::Upload(Box::new(batch)) };
        let mut writing: Writing = async move { store.commit(commit).await }.boxed();
        // Asked once, it stands in the writer's queue, and is written while the next lines are read.
        match (&mut writing).now_or_never() {
            Some(done) => self.landed(done),
            None => {
                self.writing = Some(writing);
                Ok(())
            }
        }
    }

    async fn land(&mut self) -> Result<(), Refusal> {
        match self.writing.take() {
            Some(writing) => {
                let done = writing.await;
                self.landed(done)
            }
            None => Ok(()),
        }
    }

    fn landed(&self, done: Result<Committed, StoreError>) -> Result<(), Refusal> {
        match done {
            Ok(_) => Ok(()),
            Err(StoreError::Fenced) => {
                let text = format!("another call goes on with the upload {}: this one ends", self.operation);
                Err(Refusal::new(Code::IdempotencyConflict, text))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn parse(&self, line: &[u8]) -> Result<Command, Rejection> {
        let action = match self.form {
            Form::Records => {
                let fields = serde_json::from_slice::<Fields>(line).map_err(|error| not_an_object(line, &error))?;
                self.create(fields, None)?
            }
            Form::Ops => self.op(line)?,
        };
        let ids = self.world.ids.as_ref();
        Ok(Command {
            business: self.business.id.clone(),
            at: self.world.clock.now(),
            origin: self.principal.origin(),
            reach: Arc::clone(&self.reach),
            ty: self.ty.clone(),
            action,
            if_match: None,
            idempotency: None,
            fresh: fresh(ids),
            tell: Arc::default(),
            upload: Some(self.operation),
            bytes: line.len() + 512,
        })
    }

    fn create(&self, fields: Fields, external_id: Option<&str>) -> Result<Action, Rejection> {
        let external_id = external_id.map(|id| own_external_id(&self.principal, id)).transpose();
        Ok(Action::Create {
            fields: self.checked(fields)?,
            external_id: external_id.map_err(|refusal| refusal.rejection)?,
            matching: self.matching.clone(),
        })
    }

    fn checked(&self, fields: Fields) -> Result<Fields, Rejection> {
        let shape = self.world.shape(&self.business.id, self.ty.as_str())?;
        check::fields(&shape, fields, &self.reach, &self.principal.origin())
    }

    fn op(&self, line: &[u8]) -> Result<Action, Rejection> {
        let op: Op = serde_json::from_slice(line).map_err(|error| {
            let form = "{\"op\": \"create\", \"id\": \"ext:9001\", \"fields\": {…}}";
            let text = format!("{} is no line of this form: {error}; it reads {form}", shown_line(line));
            Rejection::new(Code::InvalidBody, text)
        })?;
        let named = || {
            let id = op.id.as_deref().ok_or_else(|| {
                Rejection::new(Code::InvalidBody, "an update or delete names its record: give \"id\"")
            })?;
            target(&self.principal, id).map_err(|refusal| refusal.rejection)
        };
        match op.op {
            OpName::Create => match op.id.as_deref().map(|id| id.strip_prefix("ext:").ok_or(id)) {
                None => self.create(op.fields, None),
                Some(Ok(value)) => self.create(op.fields, Some(value)),
                Some(Err(id)) => {
                    let text = format!(
                        "{} cannot be the id of a new record: give the caller's own as ext:VALUE, or none",
                        shown(id)
                    );
                    Err(Rejection::new(Code::InvalidId, text))
                }
            },
            OpName::Update => Ok(Action::Update { target: named()?, patch: self.checked(op.fields)? }),
            OpName::Delete => Ok(Action::Delete { target: named()? }),
        }
    }
}

fn shown_line(line: &[u8]) -> String {
    shown(&String::from_utf8_lossy(line))
}

fn not_an_object(line: &[u8], error: &serde_json::Error) -> Rejection {
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
    let code = if is_json { Code::InvalidBody } else { Code::InvalidJson };
    let text = format!("the line {} is no JSON object: {error}; each line is one record", shown_line(line));
    Rejection::new(code, text)
}
