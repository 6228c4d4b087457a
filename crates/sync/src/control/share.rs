//! Shares: made, changed, paused, dropped, listed.
//!
//! A share carries a whole type in or out, so only whoever may see all of a type, and write it where the share brings
//! it in, may look after its shares; to everybody else they are as unknown as ones that are not there.

use super::plan::Plan;
use super::{Switchboard, connection};
use lockstep_connect::Remote;
use lockstep_core::Fields;
use lockstep_core::application::Business;
use lockstep_core::connection::Connection;
use lockstep_core::error::{Code, Rejection};
use lockstep_core::grant::{Ability, TypeAccess};
use lockstep_core::ids::{ConnectionId, ShareId, TypeId};
use lockstep_core::limits;
use lockstep_core::run::Run;
use lockstep_core::share::{Direction, History, OnLeave, Share, Switches};
use lockstep_core::work::{Progress, WorkKey, WorkRow};
use lockstep_engine::control::within::managed;
use lockstep_engine::control::{blank_in, check_label, commit};
use lockstep_engine::principal::Principal;
use lockstep_engine::refusal::Refusal;
use lockstep_store::settings::{Control, Expect, Put, Setting, SettingKey, SettingKind};
use lockstep_wire::run::RunView;
use lockstep_wire::share::{CreateShare, ShareSaid, ShareView, UpdateShare};
use std::sync::Arc;

fn put(share: Share, expect: Expect) -> Put {
    let key = SettingKey::new(SettingKind::Share, share.id);
    Put { key, value: Some(Setting::Share(Box::new(share))), expect }
}

/// Whether somebody may look after shares of a type.
pub(super) fn may_keep(principal: &Principal, business: &Business, ty: &TypeId) -> bool {
    principal.reach(business, ty, TypeAccess::Read).is_ok_and(|reach| reach.is_everything())
}

/// That somebody may bring a type in or out.
fn must_have(principal: &Principal, business: &Business, share: &Share) -> Result<(), Refusal> {
    let (ability, access) = match share.direction {
        Direction::In => (Ability::Write, TypeAccess::Write),
        Direction::Out => (Ability::Read, TypeAccess::Read),
    };
    principal.must(ability)?;
    let is_whole = principal.reach(business, &share.ty, access)?.is_everything();
    if is_whole && may_keep(principal, business, &share.ty) {
        return Ok(());
    }
    let text = format!(
        "a share carries all of {} with every field, and this credential does not see all of it: nobody gives more \
         than they have",
        share.ty
    );
    Err(Rejection::new(Code::OutsideGrant, text).at_field("type").into())
}

/// That somebody may decide where a connection leads: they have what every share on it carries, those that they do not
/// see as well.
///
/// # Errors
/// `outside_grant`, which names no type: that there are such shares is all that is told.
pub(super) fn must_have_all(
    board: &Switchboard,
    principal: &Principal,
    business: &Business,
    connection: ConnectionId,
) -> Result<(), Refusal> {
    let shares = connection::shares_on(board, connection);
    if shares.iter().all(|share| must_have(principal, business, share).is_ok()) {
        return Ok(());
    }
    let text = format!(
        "shares on {connection} carry more than this credential may see or write, and where it leads decides who gets \
         that: let somebody do this who may use all of those types"
    );
    Err(Refusal::new(Code::OutsideGrant, text))
}

/// One of a business's shares that the caller may look after, with the version of its row.
pub(super) fn find(
    board: &Switchboard,
    principal: &Principal,
    business: &Business,
    id: &str,
) -> Result<(Arc<Share>, u64), Refusal> {
    let id: ShareId = id.parse()?;
    let found = board.world.settings.read(|settings| settings.sharing.share(id));
    let is_open = |share: &Share| share.business == business.id && may_keep(principal, business, &share.ty);
    found.filter(|(share, _)| is_open(share)).ok_or_else(|| {
        Refusal::new(Code::NotFound, format!("there is no share {id} in {} that this credential may use", business.id))
    })
}

/// The shares of a business that the caller may look after, oldest first.
pub(super) fn kept(board: &Switchboard, principal: &Principal, business: &Business) -> Vec<Arc<Share>> {
    let all: Vec<_> = board
        .world
        .settings
        .read(|settings| settings.sharing.shares_of(&business.id).map(|(share, _)| Arc::clone(share)).collect());
    all.into_iter().filter(|share| may_keep(principal, business, &share.ty)).collect()
}

/// Those of a connection.
pub(super) fn kept_on(
    board: &Switchboard,
    principal: &Principal,
    business: &Business,
    connection: ConnectionId,
) -> Vec<Arc<Share>> {
    let all = connection::shares_on(board, connection);
    all.into_iter().filter(|share| may_keep(principal, business, &share.ty)).collect()
}

/// The connection of a share.
pub(super) fn connection_of(board: &Switchboard, share: &Share) -> Result<Arc<Connection>, Refusal> {
    Ok(connection::find(board, &share.business, &share.connection.to_string())?.0)
}

/// How far a share has come, and its run.
pub(super) async fn standing(board: &Switchboard, share: &Share) -> Result<(Option<Progress>, Option<Run>), Refusal> {
    let store = &board.world.store;
    let progress = match store.work_row(&share.business, &WorkKey::progress(share.id)).await? {
        Some(WorkRow::Progress(progress)) => Some(progress),
        _ => None,
    };
    let Some(id) = progress.as_ref().and_then(|progress| progress.run) else { return Ok((progress, None)) };
    let run = match store.work_row(&share.business, &WorkKey::run(share.id, id)).await? {
        Some(WorkRow::Run(run)) => Some(run),
        _ => None,
    };
    Ok((progress, run))
}

async fn view(board: &Switchboard, share: &Share) -> Result<ShareView, Refusal> {
    let (progress, run) = standing(board, share).await?;
    Ok(ShareView::of(share, progress.as_ref(), run.as_ref().map(RunView::of)))
}

/// Puts what a body says into a share.
fn said(share: &mut Share, said: ShareSaid) -> Result<(), Refusal> {
    let ShareSaid { mapping, condition, on_leave, history, r#match, schedule, switches } = said;
    if let Some(mapping) = mapping {
        share.mapping = mapping;
    }
    if let Some(condition) = condition {
        share.condition = condition.filter(|text| !text.trim().is_empty());
    }
    share.on_leave = on_leave.unwrap_or(share.on_leave);
    share.history = history.unwrap_or(share.history);
    if let Some(groups) = r#match {
        share.matching = groups.map(|groups| groups.0);
    }
    if let Some(schedule) = schedule {
        if let Some(schedule) = &schedule {
            schedule.check().map_err(|refused| refused.at("/schedule/cron"))?;
            if schedule.jitter_seconds > limits::JITTER_S_MAX {
                let text =
                    format!("jitterSeconds is {}: give at most {}", schedule.jitter_seconds, limits::JITTER_S_MAX);
                return Err(Rejection::new(Code::InvalidValue, text).at("/schedule/jitterSeconds").into());
            }
        }
        share.schedule = schedule;
    }
    if let Some(body) = switches {
        let Switches { pull, hooks, push } = share.switches;
        share.switches = Switches {
            pull: body.pull.unwrap_or(pull),
            hooks: body.hooks.unwrap_or(hooks),
            push: body.push.unwrap_or(push),
        };
    }
    Ok(())
}

/// Makes a share. Its baseline begins by itself, unless it begins paused.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`, `outside_grant`, `unknown_type`, `invalid_value`,
/// `invalid_mapping`, `invalid_condition`, `unknown_match_group`, `limit_reached`, `id_taken` where the connection has
/// a share of the object already.
pub async fn create(
    board: &Switchboard,
    principal: &Principal,
    business: &str,
    body: CreateShare,
) -> Result<ShareView, Refusal> {
    let world = &board.world;
    let business = managed(world, principal, business)?;
    let _turn = board.turn.lock().await;
    let (connection, _) = connection::find(board, &business.id, &body.connection.to_string())
        .map_err(|refusal| refusal.rejection.at_field("connection"))?;
    let known = board.registry.get(&connection.connector, &connection.version)?;
    let remote = super::plan::remote(&known, &body.object)?;
    let ty = body.r#type.map_or_else(|| own_type(&body.object, remote), Ok)?;
    let label = body.label.unwrap_or_else(|| format!("{} of {}", body.object, connection.label));
    let now = world.clock.now();
    let mut share = Share {
        id: ShareId(world.ids.ordered()),
        business: business.id.clone(),
        connection: connection.id,
        label: check_label("label", &label)?,
        object: body.object,
        options: body.options,
        ty,
        direction: body.direction,
        mapping: None,
        condition: None,
        on_leave: OnLeave::default(),
        history: History::default(),
        matching: None,
        schedule: None,
        switches: Switches::default(),
        is_paused: body.paused,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    said(&mut share, body.said)?;
    Plan::of(world, &known, &share)?;
    must_have(principal, &business, &share)?;
    must_be_alone(board, &share)?;
    let mut control = blank_in(world, principal, &business.id, "share.create", share.id);
    control.puts.push(put(share.clone(), Expect::Absent));
    commit(world, control).await?;
    board.workers.wake(share.id);
    view(board, &share).await
}

/// The type that a connector maps an object to.
fn own_type(object: &str, remote: &Remote) -> Result<TypeId, Rejection> {
    TypeId::parse(&remote.ty).map_err(|_none| {
        let text = format!("the connector says no type for {object}: give type, and a mapping");
        Rejection::new(Code::InvalidValue, text).at_field("type")
    })
}

/// That a business has room for a share, and that no other is of the same objects.
fn must_be_alone(board: &Switchboard, share: &Share) -> Result<(), Refusal> {
    let slot = share.slot();
    let (count, other) = board.world.settings.read(|settings| {
        let mut on_same = settings.sharing.shares_on(share.connection).map(|(other, _)| other);
        let other = on_same.find(|other| other.slot() == slot).map(|other| (other.id, other.label.clone()));
        (settings.sharing.shares_of(&share.business).count(), other)
    });
    if let Some((id, label)) = other {
        let text =
            format!("{id} ({label}) is of {slot} of this connection already: change that one, or delete it first");
        return Err(Rejection::new(Code::IdTaken, text).at_field("object").into());
    }
    if count >= limits::SHARES_MAX {
        let text = format!("the business has {count} shares, the most it may");
        return Err(Refusal::new(Code::LimitReached, text));
    }
    Ok(())
}

/// Changes a share; what is left out stays. What it does from then on has a version of its own.
///
/// # Errors
/// Those of [`create`].
pub async fn update(
    board: &Switchboard,
    principal: &Principal,
    (business, id): (&str, &str),
    body: UpdateShare,
) -> Result<ShareView, Refusal> {
    let world = &board.world;
    let business = managed(world, principal, business)?;
    let (standing, version) = find(board, principal, &business, id)?;
    let connection = connection_of(board, &standing)?;
    let known = board.registry.get(&connection.connector, &connection.version)?;
    let mut share = (*standing).clone();
    if let Some(label) = &body.label {
        share.label = check_label("label", label)?;
    }
    said(&mut share, body.said)?;
    Plan::of(world, &known, &share)?;
    must_have(principal, &business, &share)?;
    if does(&share) != does(&standing) {
        share.version += 1;
    }
    share.updated_at = world.clock.now();
    replace(board, principal, "share.update", share, version).await
}

/// What of a share decides what it does to records and objects.
fn does(share: &Share) -> impl PartialEq + '_ {
    (&share.mapping, &share.condition, share.on_leave, share.history, &share.matching)
}

async fn replace(
    board: &Switchboard,
    principal: &Principal,
    action: &str,
    share: Share,
    version: u64,
) -> Result<ShareView, Refusal> {
    let mut control = blank_in(&board.world, principal, &share.business, action, share.id);
    control.puts.push(put(share.clone(), Expect::Version(version)));
    commit(&board.world, control).await?;
    board.workers.wake(share.id);
    view(board, &share).await
}

/// Pauses a share, or lets it go on. While it is paused nothing is done for it, and nothing that it would do is lost.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`.
pub async fn pause(
    board: &Switchboard,
    principal: &Principal,
    (business, id): (&str, &str),
    is_paused: bool,
) -> Result<ShareView, Refusal> {
    let business = managed(&board.world, principal, business)?;
    let (share, version) = find(board, principal, &business, id)?;
    if share.is_paused == is_paused {
        return view(board, &share).await;
    }
    let share = Share { is_paused, updated_at: board.world.clock.now(), ..(*share).clone() };
    replace(board, principal, if is_paused { "share.pause" } else { "share.resume" }, share, version).await
}

/// Drops a share with what is still to be done for it. Records and remote objects stay as they are.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`.
pub async fn delete(board: &Switchboard, principal: &Principal, business: &str, id: &str) -> Result<(), Refusal> {
    let world = &board.world;
    let business = managed(world, principal, business)?;
    let (share, version) = find(board, principal, &business, id)?;
    let connection = connection_of(board, &share)?;
    let dropped = async {
        board.workers.forget(&share, &connection).await?;
        let control = blank_in(world, principal, &business.id, "share.delete", share.id);
        let key = SettingKey::new(SettingKind::Share, share.id);
        let puts = vec![Put { key, value: None, expect: Expect::Version(version) }];
        let ended_shares = vec![(business.id.clone(), share.id)];
        Ok(commit(world, Control { puts, ended_shares, ..control }).await?)
    };
    let dropped: Result<(), Refusal> = dropped.await;
    // Whether it is gone or not, it is no longer about to go.
    board.workers.wake(share.id);
    dropped
}

/// One share.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`.
pub async fn get(board: &Switchboard, principal: &Principal, business: &str, id: &str) -> Result<ShareView, Refusal> {
    let business = managed(&board.world, principal, business)?;
    view(board, &find(board, principal, &business, id)?.0).await
}

/// Shares of a business after one, oldest first, at most so many.
///
/// # Errors
/// `business_not_found`, `forbidden`.
pub async fn list(
    board: &Switchboard,
    principal: &Principal,
    business: &str,
    after: Option<ShareId>,
    limit: usize,
) -> Result<Vec<ShareView>, Refusal> {
    let business = managed(&board.world, principal, business)?;
    let mut views = Vec::new();
    let later = |share: &Arc<Share>| after.is_none_or(|after| share.id > after);
    for share in kept(board, principal, &business).into_iter().filter(later).take(limit) {
        views.push(view(board, &share).await?);
    }
    Ok(views)
}

/// What a share says of its object's options, as it must be.
pub(super) fn check_options(remote: &Remote, options: &Fields) -> Result<(), Rejection> {
    let refuse = |name: &str, text: String| {
        let place = name.replace('~', "~0").replace('/', "~1");
        Err(Rejection::new(Code::InvalidValue, text).at(format!("/options/{place}")))
    };
    for (name, said) in remote.options.iter().filter(|(_, said)| said.is_required) {
        if !options.contains_key(name) {
            let title = said.title.as_deref().map(|title| format!(" ({title})")).unwrap_or_default();
            return refuse(name, format!("the option {name}{title} is missing: the connector must know it"));
        }
    }
    for (name, value) in options {
        if !remote.options.contains_key(name) {
            let known: Vec<&str> = remote.options.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return refuse(name, format!("the object has no option {name}: it has {known}"));
        }
        if value.is_object() || value.is_array() || value.is_null() {
            return refuse(name, format!("the option {name} is text, a number, true or false"));
        }
    }
    Ok(())
}
