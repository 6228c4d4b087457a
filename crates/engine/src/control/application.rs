//! Applications: their credentials and grants.

use super::{blank, check_label, claim, commit};
use crate::World;
use crate::principal::{Principal, digest_of};
use crate::refusal::Refusal;
use crate::settings::LiveApplication;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lockstep_core::application::Application;
use lockstep_core::error::{Code, Rejection};
use lockstep_core::grant::{Ability, BusinessAccessRule, Grant, TypeAccess};
use lockstep_core::ids::{ApplicationId, OrganisationName, Provider, TypeId, slug};
use lockstep_core::limits;
use lockstep_core::powers::Powers;
use lockstep_core::rate::RateLimit;
use lockstep_core::rules::scope::Reach;
use lockstep_core::schema::Schema;
use lockstep_core::subscription::StartAt;
use lockstep_store::settings::{Control, Expect, Put, Setting, SettingKey, SettingKind};
use lockstep_wire::management::{
    ApplicationChanged, ApplicationCreated, ApplicationView, CreateApplication, GrantBody, UpdateApplication,
};
use lockstep_wire::rate::RateLimitBody;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) fn put(application: Application, expect: Expect) -> Put {
    let key = SettingKey::new(SettingKind::Application, application.id);
    Put { key, value: Some(Setting::Application(application)), expect }
}

fn provider_key(organisation: &OrganisationName, provider: &Provider) -> SettingKey {
    SettingKey::new(SettingKind::Provider, format!("{organisation}/{provider}"))
}

/// A grant with a body's members put into it, by someone to whom fields hidden from them are as unknown as any other.
pub(super) fn granted(
    world: &World,
    giver: &Principal,
    organisation: &OrganisationName,
    standing: Grant,
    body: GrantBody,
) -> Result<Grant, Refusal> {
    let grant = Grant {
        business_access_rule: body.business_access_rule.unwrap_or(standing.business_access_rule),
        abilities: body.abilities.unwrap_or(standing.abilities),
        types: body.types.map(with_read).or(standing.types),
        conditions: body.conditions.unwrap_or(standing.conditions),
        hidden_fields: body.hidden_fields.unwrap_or(standing.hidden_fields),
    };
    let rule = &grant.business_access_rule;
    let counts = [
        rule.denied_business_ids.len(),
        rule.allowed_business_ids.as_ref().map_or(0, BTreeSet::len),
        grant.hidden_fields.values().map(BTreeSet::len).sum(),
    ];
    if let Some(count) = counts.into_iter().find(|count| *count > limits::SCOPE_ITEMS_MAX) {
        let text = format!("a list of {count} members: at most {} are taken", limits::SCOPE_ITEMS_MAX);
        return Err(Refusal::new(Code::LimitReached, text));
    }
    let known = Known::of(world, organisation);
    let types = grant.types.iter().flat_map(BTreeMap::keys);
    for ty in types.chain(grant.conditions.keys()).chain(grant.hidden_fields.keys()) {
        known.check_type(ty)?;
    }
    for (ty, fields) in &grant.hidden_fields {
        let reach = giver.sees(ty);
        for field in fields.iter().filter(|field| !reach.hides(field)) {
            known.check_field(ty, field, &reach).map_err(|refused| refused.at(format!("/hiddenFields/{ty}")))?;
        }
    }
    for (ty, condition) in &grant.conditions {
        if giver.condition(ty).as_ref() == Some(condition) {
            continue;
        }
        let (compiled, reach) = (lockstep_core::grant::compile_condition(condition)?, giver.sees(ty));
        for name in compiled.names().iter().filter(|name| *name != "fields") {
            known.check_field(ty, name, &reach).map_err(|refused| Rejection {
                code: Code::InvalidCondition,
                message: format!("the condition for {ty} names what no {ty} has: {}", refused.message),
                pointer: Some(format!("/conditions/{ty}")),
            })?;
        }
    }
    Powers::of(&grant).compile()?;
    Ok(grant)
}

/// The types of an organisation's businesses: a grant may name what one of them has.
pub(super) struct Known(Vec<Arc<Schema>>);

impl Known {
    /// Those of an organisation.
    pub(super) fn of(world: &World, organisation: &OrganisationName) -> Self {
        Self(world.settings.read(|settings| settings.schemas_of(organisation)))
    }

    fn check_type(&self, ty: &TypeId) -> Result<(), Rejection> {
        self.first(|schema| schema.shape(ty.as_str()).map(|_| ()))
    }

    /// That somebody has such a field, to someone from whom some may be hidden.
    pub(super) fn check_field(&self, ty: &TypeId, field: &str, reach: &Reach) -> Result<(), Rejection> {
        self.first(|schema| schema.shape(ty.as_str()).and_then(|shape| shape.field_within(field, reach).map(|_| ())))
    }

    /// Well, if it is so in one; otherwise what is wrong in the last.
    fn first(&self, check: impl Fn(&Schema) -> Result<(), Rejection>) -> Result<(), Rejection> {
        let mut wrong = Ok(());
        for schema in &self.0 {
            wrong = check(schema);
            if wrong.is_ok() {
                break;
            }
        }
        wrong
    }
}

/// Who may write a type may read it: what it writes it would otherwise never see settled.
fn with_read(mut types: BTreeMap<TypeId, BTreeSet<TypeAccess>>) -> BTreeMap<TypeId, BTreeSet<TypeAccess>> {
    for access in types.values_mut() {
        access.insert(TypeAccess::Read);
    }
    types
}

/// The grant of someone of whom nothing is said.
pub(super) fn usual() -> Grant {
    Grant {
        business_access_rule: BusinessAccessRule::default(),
        abilities: Ability::usual(),
        types: None,
        conditions: BTreeMap::new(),
        hidden_fields: BTreeMap::new(),
    }
}

/// Makes an application; its secrets are shown this once.
///
/// # Errors
/// `forbidden`, `invalid_value`, `provider_taken`, `invalid_condition`, `unknown_type`, `unknown_field`.
pub async fn create(
    world: &World,
    principal: &Principal,
    body: CreateApplication,
) -> Result<ApplicationCreated, Refusal> {
    principal.must_administer()?;
    let grant = granted(world, principal, &body.organisation_name, usual(), body.grant)?;
    let rate_limit = body.rate_limit.map(|RateLimitBody(limit)| limit.check()).transpose()?;
    let draft =
        Draft { label: body.label, provider: body.provider, organisation: body.organisation_name, grant, rate_limit };
    let control = blank(world, principal, "application.create", "");
    make(world, draft, control).await
}

/// What an application is to be.
pub(super) struct Draft {
    pub(super) label: String,
    pub(super) provider: Option<Provider>,
    pub(super) organisation: OrganisationName,
    pub(super) grant: Grant,
    pub(super) rate_limit: Option<RateLimit>,
}

/// Fresh secrets: to be shown once, and only their digests kept.
pub(super) struct Secrets {
    pub(super) client_secret: String,
    pub(super) api_key: String,
}

impl Secrets {
    pub(super) fn fresh(world: &World) -> Self {
        Self { client_secret: secret(world, "lss_"), api_key: secret(world, "lsk_") }
    }

    /// Puts them in the place of an application's own.
    pub(super) fn of(&self, application: Application) -> Application {
        let (secret_digest, key_digest) = (digest_of(&self.client_secret), digest_of(&self.api_key));
        Application { secret_digest, key_digest, ..application }
    }

    pub(super) fn shown(self, application: &Application) -> ApplicationCreated {
        let Application { id, provider, client_id, .. } = application.clone();
        ApplicationCreated { id, provider, client_id, client_secret: self.client_secret, api_key: self.api_key }
    }
}

/// A secret that says by its beginning what it is.
pub(super) fn secret(world: &World, prefix: &str) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(world.ids.secret()))
}

/// Whether the ids of a connection of an organisation stand under a slug.
fn has_connection(world: &World, organisation: &OrganisationName, provider: &Provider) -> bool {
    world.settings.read(|settings| {
        let is_own = |business| {
            settings.businesses.get(business).is_some_and(|(business, _)| business.organisation == *organisation)
        };
        let mut all = settings.sharing.connections().map(|(connection, _)| connection);
        all.any(|connection| connection.provider == *provider && is_own(&connection.business))
    })
}

/// Makes an application of a draft that its maker may make.
pub(super) async fn make(world: &World, draft: Draft, mut control: Control) -> Result<ApplicationCreated, Refusal> {
    let label = check_label("label", &draft.label)?;
    let provider = match draft.provider {
        Some(provider) => provider,
        None => Provider::parse(&slug(&label)).map_err(|_empty| {
            let text = format!("the label {label:?} gives no provider slug: give one as \"provider\"");
            Rejection::new(Code::InvalidValue, text).at_field("provider")
        })?,
    };
    if has_connection(world, &draft.organisation, &provider) {
        let text = format!("the provider {provider} is a connection's in this organisation: give another \"provider\"");
        return Err(Rejection::new(Code::ProviderTaken, text).at_field("provider").into());
    }
    let id = ApplicationId(world.ids.ordered());
    let client_id = format!("client_{}", id.to_string().trim_start_matches(ApplicationId::PREFIX));
    let secrets = Secrets::fresh(world);
    let application = secrets.of(Application {
        id,
        label,
        provider: provider.clone(),
        organisation: draft.organisation,
        client_id,
        secret_digest: [0; 32],
        key_digest: [0; 32],
        grant: draft.grant,
        rate_limit: draft.rate_limit,
        created_at: world.clock.now(),
        is_revoked: false,
    });
    control.audit.subject = id.to_string();
    control.audit.organisation = Some(application.organisation.clone());
    let claimed = provider_key(&application.organisation, &provider);
    control.puts.push(Put { key: claimed, value: Some(Setting::Provider(id)), expect: Expect::Absent });
    control.puts.push(put(application.clone(), Expect::Absent));
    let taken = |put: &Put| {
        (put.key.kind == SettingKind::Provider).then(|| {
            let text =
                format!("the provider {provider} is taken in this organisation: give another \"provider\" or label");
            Rejection::new(Code::ProviderTaken, text).at_field("provider").into()
        })
    };
    claim(world, control, taken).await?;
    Ok(secrets.shown(&application))
}

pub(super) fn find(world: &World, id: &str) -> Result<Arc<LiveApplication>, Refusal> {
    let id: ApplicationId = id.parse()?;
    let found = world.settings.read(|settings| settings.applications.get(&id).cloned());
    found.filter(|live| !live.is_revoked).ok_or_else(|| unknown(id))
}

pub(super) fn unknown(id: ApplicationId) -> Refusal {
    Refusal::new(Code::NotFound, format!("there is no application {id}"))
}

/// Changes an application's label and grant; what is left out stays.
///
/// # Errors
/// `forbidden`, `not_found`, and those of [`create`].
pub async fn update(
    world: &World,
    principal: &Principal,
    id: &str,
    body: UpdateApplication,
) -> Result<ApplicationChanged, Refusal> {
    principal.must_administer()?;
    let live = find(world, id)?;
    let standing = &live.application;
    check_organisation(&live, body.organisation_name.as_ref())?;
    let grant = granted(world, principal, &standing.organisation, standing.grant.clone(), body.grant)?;
    let changed = Changed { label: body.label, rate_limit: body.rate_limit, grant };
    let control = blank(world, principal, "application.update", standing.id);
    change(world, &live, changed, control).await
}

/// That an application stays in its organisation.
pub(super) fn check_organisation(live: &LiveApplication, given: Option<&OrganisationName>) -> Result<(), Refusal> {
    let own = &live.application.organisation;
    if given.is_some_and(|name| name != own) {
        let text = format!("an application stays in its organisation, {own}: make another one there");
        return Err(Rejection::new(Code::InvalidValue, text).at_field("organisationName").into());
    }
    Ok(())
}

/// What is to become of an application.
pub(super) struct Changed {
    pub(super) label: Option<String>,
    pub(super) rate_limit: Option<Option<RateLimitBody>>,
    pub(super) grant: Grant,
}

/// Changes an application to what its changer may make of it.
pub(super) async fn change(
    world: &World,
    live: &LiveApplication,
    changed: Changed,
    mut control: Control,
) -> Result<ApplicationChanged, Refusal> {
    let mut application = Application { grant: changed.grant, ..live.application.clone() };
    if let Some(label) = changed.label {
        application.label = check_label("label", &label)?;
    }
    if let Some(limit) = changed.rate_limit {
        application.rate_limit = limit.map(|RateLimitBody(limit)| limit.check()).transpose()?;
    }
    let id = application.id;
    replace(&mut control, live, application);
    commit(world, control).await?;
    super::mirror::align_all(world, StartAt::Now).await?;
    Ok(ApplicationChanged { id })
}

/// Puts an application in the place of what stands, in a control that says whose organisation it concerns.
pub(super) fn replace(control: &mut Control, live: &LiveApplication, application: Application) {
    control.audit.organisation = Some(application.organisation.clone());
    control.puts.push(put(application, Expect::Version(live.version)));
}

/// Revokes an application's credentials, with every token made from it. Its subscriptions are sent nothing more; its
/// provider slug stays taken, so that its external ids never mean another application's records.
///
/// # Errors
/// `forbidden`, `not_found`.
pub async fn delete(world: &World, principal: &Principal, id: &str) -> Result<ApplicationChanged, Refusal> {
    principal.must_administer()?;
    let live = find(world, id)?;
    revoke(world, &live, blank(world, principal, "application.delete", live.application.id)).await
}

pub(super) async fn revoke(
    world: &World,
    live: &LiveApplication,
    mut control: Control,
) -> Result<ApplicationChanged, Refusal> {
    replace(&mut control, live, Application { is_revoked: true, ..live.application.clone() });
    commit(world, control).await?;
    Ok(ApplicationChanged { id: live.application.id })
}

/// Gives an application new secrets, shown this once; the old ones stop at once. Tokens made from it stay.
///
/// # Errors
/// `forbidden`, `not_found`.
pub async fn rotate(world: &World, principal: &Principal, id: &str) -> Result<ApplicationCreated, Refusal> {
    principal.must_administer()?;
    let live = find(world, id)?;
    renew(world, &live, blank(world, principal, "application.rotate", live.application.id)).await
}

pub(super) async fn renew(
    world: &World,
    live: &LiveApplication,
    mut control: Control,
) -> Result<ApplicationCreated, Refusal> {
    let secrets = Secrets::fresh(world);
    replace(&mut control, live, secrets.of(live.application.clone()));
    commit(world, control).await?;
    Ok(secrets.shown(&live.application))
}

/// Every application that has not been revoked.
///
/// # Errors
/// `forbidden`.
pub fn list(world: &World, principal: &Principal) -> Result<Vec<ApplicationView>, Refusal> {
    principal.must_administer()?;
    Ok(world.settings.read(|settings| {
        let living = settings.applications.values().filter(|live| !live.is_revoked);
        living.map(|live| ApplicationView::of(&live.application)).collect()
    }))
}
