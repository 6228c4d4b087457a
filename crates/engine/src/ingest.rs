//! Ingest: a call becomes a command, and the command is committed.
//!
//! What is wrong with the request itself is refused here, before anything is written; what depends on the record
//! is decided inside the commit and fails the operation.

use crate::World;
use crate::control;
use crate::principal::Principal;
use crate::refusal::Refusal;
use aws_lc_rs::digest::{Context, SHA256};
use lockstep_core::Fields;
use lockstep_core::application::Business;
use lockstep_core::change::Change;
use lockstep_core::clock::IdSource;
use lockstep_core::command::{
    Action, Command, Ending, FreshIds, Idempotency, MatchGroup, Outcome, ShadowedAccount, Target,
};
use lockstep_core::connection::Connection;
use lockstep_core::error::{Code, shown};
use lockstep_core::external_id::ExternalId;
use lockstep_core::grant::{Ability, TypeAccess};
use lockstep_core::ids::{BusinessId, ChangeId, ProblemId, Provider, RecordId, SubscriptionId};
use lockstep_core::limits;
use lockstep_core::operation::OperationId;
use lockstep_core::problem::Subject;
use lockstep_core::record::RecordKey;
use lockstep_core::rules::check;
use lockstep_core::rules::scope::Reach;
use lockstep_core::scan::Since;
use lockstep_core::schema::Shape;
use lockstep_core::work::{WorkKey, WorkPut};
use lockstep_store::turn::Turn;
use lockstep_store::{Commit, Committed, StoreError, Work};
use lockstep_wire::operation::Correlation;
use std::sync::Arc;

/// A call of the Data API, parsed.
#[derive(Debug)]
pub struct Call<'a> {
    /// Who calls.
    pub principal: &'a Principal,
    /// The business, as written in the path.
    pub business: &'a str,
    /// The type, as written in the path.
    pub ty: &'a str,
    /// What is asked.
    pub verb: Verb<'a>,
    /// `If-Match`.
    pub if_match: Option<u64>,
    /// `Idempotency-Key`, with the path it holds for.
    pub idempotency: Option<(&'a str, &'a str)>,
    /// The body as it came, for the key's digest and the limits.
    pub bytes: &'a [u8],
}

/// What is asked, with ids still as text.
#[derive(Debug)]
pub enum Verb<'a> {
    /// Make a record.
    Create {
        /// Its values.
        fields: Fields,
        /// What the caller calls it.
        external_id: Option<&'a str>,
        /// Match groups, as fields with commas between.
        matching: &'a [String],
    },
    /// Change fields.
    Update {
        /// Which record.
        id: &'a str,
        /// JSON merge patch.
        patch: Fields,
    },
    /// Set these values and no others.
    Replace {
        /// Which record; one is made where the caller calls none so.
        id: &'a str,
        /// Its values.
        fields: Fields,
    },
    /// Undo what a change did, where it still stands; see [`rollback`].
    Rollback {
        /// The change.
        of: Arc<Change>,
    },
    /// Make a tombstone.
    Delete {
        /// Which record.
        id: &'a str,
    },
    /// Leave nothing of a record but its id.
    Erase {
        /// Which record.
        id: &'a str,
    },
    /// Attach an external id.
    Correlate {
        /// Which record.
        id: &'a str,
        /// The external id.
        with: Correlation,
        /// Whether to take it from another record.
        force: bool,
    },
    /// Detach an external id.
    Uncorrelate {
        /// Which record.
        id: &'a str,
        /// The external id.
        with: Correlation,
    },
    /// Put a record in the place of another.
    Merge {
        /// Which record goes.
        id: &'a str,
        /// Which record stays.
        into: &'a str,
    },
    /// Undo that.
    Unmerge {
        /// Which record went.
        id: &'a str,
    },
    /// Send every record of the type as it is.
    SyncAll {
        /// Those made or changed since.
        since: Option<Since>,
        /// To which of the caller's subscriptions; all where none is named.
        subscription: Option<&'a str>,
    },
    /// Begin an upload.
    CreateMany,
    /// Send a record as it is.
    SyncById {
        /// Which record.
        id: &'a str,
        /// To which of the caller's subscriptions; all where none is named.
        subscription: Option<&'a str>,
    },
}

impl Verb<'_> {
    const fn needs(&self) -> (Ability, TypeAccess) {
        match self {
            Self::SyncById { .. } | Self::SyncAll { .. } => (Ability::Read, TypeAccess::Read),
            _ => (Ability::Write, TypeAccess::Write),
        }
    }
}

/// Commits a call and says how it ended.
///
/// # Errors
/// What is wrong with the request, or why the store did not take it. Nothing was written.
pub async fn submit(world: &World, call: Call<'_>) -> Result<Outcome, Refusal> {
    let is_erasing = matches!(call.verb, Verb::Erase { .. });
    let principal = call.principal;
    let command = command(world, call)?;
    let mut rows = None;
    if let Action::Erase { target, .. } = &command.action {
        // Before it is done: nothing is erased of which nobody knows who asked.
        let subject = format!("{} {}", command.ty, shown_target(target));
        control::note_in(world, principal, &command.business, "record.erase", subject).await?;
        rows = work_rows(world, &command, target).await?;
        drop_rows(world, rows.clone()).await?;
    }
    let commit = Commit { id: None, work: Work::Commands(vec![command]) };
    let Committed::Outcomes(outcomes) = world.store.commit(commit).await? else {
        return Err(StoreError::Failed("a commit of commands answered with settings".to_owned()).into());
    };
    let outcome = outcomes.into_iter().next();
    let outcome = outcome.ok_or_else(|| StoreError::Failed("a commit without an outcome".to_owned()))?;
    world.metrics.command_ended(&outcome.ending);
    if is_erasing {
        // Once more: a share may have told of it meanwhile.
        drop_rows(world, rows).await?;
        crate::sweep::erase_on(world, limits::ERASE_TURNS_WAITED).await;
    }
    match outcome.ending {
        Ending::Refused(rejection) => Err(rejection.into()),
        _ => Ok(outcome),
    }
}

/// Undoes changes by others, in this order, in one commit: each field that still holds what a change set gets its old
/// value back, the others stay. Nothing to take back is `unchanged`.
///
/// # Errors
/// `forbidden`, and what the store says.
pub(crate) async fn rollback_all(
    world: &World,
    principal: &Principal,
    business: &BusinessId,
    changes: &[Arc<Change>],
) -> Result<Vec<Outcome>, Refusal> {
    let mut commands = Vec::with_capacity(changes.len());
    for change in changes {
        let verb = Verb::Rollback { of: Arc::clone(change) };
        let (business, ty) = (business.as_str(), change.ty.as_str());
        commands.push(command(
            world,
            Call { principal, business, ty, verb, if_match: None, idempotency: None, bytes: &[] },
        )?);
    }
    match world.store.commit(Commit { id: None, work: Work::Commands(commands) }).await? {
        Committed::Outcomes(outcomes) => Ok(outcomes),
        _ => Err(StoreError::Failed("a commit of commands answered with something else".to_owned()).into()),
    }
}

fn shown_target(target: &Target) -> String {
    match target {
        Target::Id(id) => id.to_string(),
        // The id itself is a value of the record's.
        Target::External(external) => format!("ext: of {}", external.provider),
    }
}

fn command(world: &World, call: Call<'_>) -> Result<Command, Refusal> {
    let principal = call.principal;
    let business = principal.business(world, call.business)?;
    if matches!(call.verb, Verb::Erase { .. }) {
        principal.must_manage(&business)?;
    }
    let shape = &*world.shape(&business.id, call.ty)?;
    let (ability, access) = call.verb.needs();
    principal.must(ability)?;
    let reach = principal.reach(&business, &shape.id, access)?;
    let idempotency = call.idempotency.map(|key| idempotency(principal, &business, key, call.bytes)).transpose()?;
    let bytes = call.bytes.len() + 512;
    let owner = principal.owner(&business.id);
    let action = action(world, principal, &business, shape, &reach, call.verb)?;
    let ids = &world.ids;
    Ok(Command {
        at: world.clock.now(),
        origin: principal.origin(),
        reach,
        ty: shape.id.clone(),
        action,
        if_match: call.if_match,
        idempotency,
        fresh: fresh(ids.as_ref()),
        tell: world.settings.read(|settings| settings.tell(&owner)),
        business: owner.business,
        upload: None,
        bytes,
    })
}

/// Ids for one command.
pub fn fresh(ids: &dyn IdSource) -> FreshIds {
    FreshIds {
        record: RecordId(ids.ordered()),
        change: ChangeId(ids.ordered()),
        second_change: ChangeId(ids.ordered()),
        operation: OperationId::fresh(ids.ordered()),
    }
}

/// Match groups as a caller names them.
pub(crate) fn match_groups(shape: &Shape, reach: &Reach, names: &[String]) -> Result<Vec<MatchGroup>, Refusal> {
    if names.len() > limits::MATCH_GROUPS_MAX {
        let text = format!("match stands {} times; at most {} are taken", names.len(), limits::MATCH_GROUPS_MAX);
        return Err(Refusal::new(Code::LimitReached, text));
    }
    Ok(names.iter().map(|name| shape.match_group(name, reach)).collect::<Result<_, _>>()?)
}

fn action(
    world: &World,
    principal: &Principal,
    business: &Business,
    shape: &Shape,
    reach: &Arc<Reach>,
    verb: Verb<'_>,
) -> Result<Action, Refusal> {
    let target = |id| target(principal, id);
    Ok(match verb {
        Verb::Create { fields, external_id, matching } => Action::Create {
            fields: check::fields(shape, fields, reach, &principal.origin())?,
            external_id: external_id.map(|id| own_external_id(principal, id)).transpose()?,
            matching: match_groups(shape, reach, matching)?,
        },
        Verb::Merge { id, into } => Action::Merge { target: target(id)?, into: target(into)? },
        Verb::Unmerge { id } => Action::Unmerge { target: target(id)? },
        Verb::SyncAll { since, subscription } => {
            Action::SyncAll { since, subscriptions: receivers(world, principal, business, shape, subscription)? }
        }
        Verb::CreateMany => Action::CreateMany,
        Verb::Update { id, patch } => {
            Action::Update { target: target(id)?, patch: check::fields(shape, patch, reach, &principal.origin())? }
        }
        Verb::Replace { id, fields } => {
            Action::Replace { target: target(id)?, fields: check::fields(shape, fields, reach, &principal.origin())? }
        }
        Verb::Rollback { of } => Action::Rollback { of },
        Verb::Delete { id } => Action::Delete { target: target(id)? },
        Verb::Erase { id } => Action::Erase { target: target(id)?, accounts: shadowed(world, &business.id) },
        Verb::Correlate { id, with, force } => {
            Action::Correlate { target: target(id)?, external_id: external_id(principal, with)?, force }
        }
        Verb::Uncorrelate { id, with } => {
            Action::Uncorrelate { target: target(id)?, external_id: external_id(principal, with)? }
        }
        Verb::SyncById { id, subscription } => Action::SyncById {
            target: target(id)?,
            subscriptions: receivers(world, principal, business, shape, subscription)?,
        },
    })
}

/// What shares keep of a record besides shadows, problems above all, which tell values: to be dropped in one turn.
async fn work_rows(
    world: &World,
    command: &Command,
    target: &Target,
) -> Result<Option<(BusinessId, Vec<WorkKey>)>, StoreError> {
    let business = &command.business;
    let key = match target {
        Target::Id(id) => Some(RecordKey { ty: command.ty.clone(), id: *id }),
        Target::External(external) => world.store.holder(business, &external.key(&command.ty)).await?,
    };
    let Some(key) = key else { return Ok(None) };
    let Some(record) = world.store.record(business, &key).await? else { return Ok(None) };
    let keys = world.settings.read(|settings| {
        let mut keys = Vec::new();
        for (share, _) in settings.sharing.shares_of(business).filter(|(share, _)| share.ty == command.ty) {
            keys.push(WorkKey::waiting(share.id, record.id));
            keys.push(WorkKey::problem(share.id, ProblemId::of(share.id, &Subject::Record(record.id))));
            let Some((connection, _)) = settings.sharing.connection(share.connection) else { continue };
            let slot = share.external(&connection, "");
            for external in record.state.external_ids.iter().filter(|external| external.has_slot_of(&slot)) {
                let subject = Subject::Object(external.id.clone());
                keys.push(WorkKey::hint(share.id, &external.id));
                keys.push(WorkKey::problem(share.id, ProblemId::of(share.id, &subject)));
            }
        }
        keys
    });
    Ok(Some((business.clone(), keys)))
}

async fn drop_rows(world: &World, rows: Option<(BusinessId, Vec<WorkKey>)>) -> Result<(), StoreError> {
    let Some((business, keys)) = rows else { return Ok(()) };
    let Some(share) = keys.first().map(|key| key.share) else { return Ok(()) };
    let puts = keys.into_iter().map(|key| (key, WorkPut::Gone)).collect();
    let turn = Turn { puts, ..Turn::of(business, share, world.clock.now()) };
    world.store.commit(Commit { id: None, work: Work::Turn(Box::new(turn)) }).await?;
    Ok(())
}

/// The accounts of a business whose objects have shadows.
fn shadowed(world: &World, business: &BusinessId) -> Vec<ShadowedAccount> {
    let account = |(connection, _): &(Arc<Connection>, u64)| ShadowedAccount {
        provider: connection.provider.clone(),
        realm: connection.realm.clone(),
        connection: connection.id,
    };
    world.settings.read(|settings| settings.sharing.connections_of(business).map(account).collect())
}

pub(crate) fn target(principal: &Principal, id: &str) -> Result<Target, Refusal> {
    match id.strip_prefix("ext:") {
        Some(value) => own_external_id(principal, value).map(Target::External),
        None => {
            let parsed = id.parse().map(Target::Id);
            Ok(parsed.map_err(|refused| {
                let hint = "; the caller's own external id is written ext:VALUE";
                lockstep_core::error::Rejection { message: refused.message + hint, ..refused }
            })?)
        }
    }
}

fn own_provider(principal: &Principal) -> Result<Provider, Refusal> {
    principal.origin().provider().cloned().ok_or_else(|| {
        Refusal::new(
            Code::InvalidId,
            "the administrator's key has no external ids of its own: call with an application's credentials, or name \
             the source in the body of correlate",
        )
    })
}

pub(crate) fn own_external_id(principal: &Principal, value: &str) -> Result<ExternalId, Refusal> {
    Ok(ExternalId::check(own_provider(principal)?, "", None, value)?)
}

fn external_id(principal: &Principal, with: Correlation) -> Result<ExternalId, Refusal> {
    let provider = match with.source {
        Some(source) => source,
        None => own_provider(principal)?,
    };
    Ok(ExternalId::check(provider, &with.realm, with.object.as_deref(), &with.value.into_text())?)
}

/// The caller's own subscriptions that a sync goes to.
fn receivers(
    world: &World,
    principal: &Principal,
    business: &Business,
    shape: &Shape,
    only: Option<&str>,
) -> Result<Vec<SubscriptionId>, Refusal> {
    let owner = principal.owner(&business.id);
    let only: Option<SubscriptionId> = only.map(str::parse).transpose()?;
    let wants = |subscription: &lockstep_core::subscription::Subscription| {
        let is_asked = only.is_none_or(|only| only == subscription.id);
        let takes = only.is_some() || subscription.takes_kind("current");
        let has_type = subscription.types.as_ref().is_none_or(|types| types.contains(&shape.id));
        subscription.is_active() && is_asked && takes && has_type
    };
    let found: Vec<_> = world.settings.read(|settings| {
        let own = settings.owned_by(&owner).map(|live| &live.subscription);
        own.filter(|subscription| wants(subscription)).map(|subscription| subscription.id).collect()
    });
    match only {
        Some(only) if found.is_empty() => Err(Refusal::new(
            Code::NotFound,
            format!("{only} is no active subscription of this credential for {} records", shape.id),
        )),
        _ => Ok(found),
    }
}

fn idempotency(
    principal: &Principal,
    business: &Business,
    (key, path): (&str, &str),
    body: &[u8],
) -> Result<Idempotency, Refusal> {
    if key.is_empty() || key.len() > limits::IDEMPOTENCY_KEY_BYTES_MAX {
        let text = format!(
            "the Idempotency-Key {} is no key: it is 1 to {} bytes long",
            shown(key),
            limits::IDEMPOTENCY_KEY_BYTES_MAX
        );
        return Err(Refusal::new(Code::InvalidHeader, text));
    }
    let route = path.split_once('?').map_or(path, |(route, _)| route);
    let name = principal.name();
    let scope = [name.as_str(), business.id.as_str(), route, key].map(str::as_bytes);
    Ok(Idempotency { key: short_digest(&scope), request: short_digest(&[path.as_bytes(), body]) })
}

/// The first half of SHA-256 over parts, each with its length, so that no two lists of parts run together.
pub(crate) fn short_digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut short = [0; 16];
    for (to, from) in short.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    short
}
