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
use lockstep_core::schema::Schema;
use lockstep_core::subscription::StartAt;
use lockstep_store::settings::{Expect, Put, Setting, SettingKey, SettingKind};
use lockstep_wire::management::{
    ApplicationChanged, ApplicationCreated, ApplicationView, CreateApplication, GrantBody, UpdateApplication,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn put(application: Application, expect: Expect) -> Put {
    let key = SettingKey::new(SettingKind::Application, application.id);
    Put { key, value: Some(Setting::Application(application)), expect }
}

fn provider_key(organisation: &OrganisationName, provider: &Provider) -> SettingKey {
    SettingKey::new(SettingKind::Provider, format!("{organisation}/{provider}"))
}

/// A grant with a body's members put into it.
fn granted(world: &World, organisation: &OrganisationName, standing: Grant, body: GrantBody) -> Result<Grant, Refusal> {
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
    let known = Known(world.settings.read(|settings| settings.schemas_of(organisation)));
    let types = grant.types.iter().flat_map(BTreeMap::keys);
    for ty in types.chain(grant.conditions.keys()).chain(grant.hidden_fields.keys()) {
        known.check_type(ty)?;
    }
    for (ty, fields) in &grant.hidden_fields {
        for field in fields {
            known.check_field(ty, field).map_err(|refused| refused.at(format!("/hiddenFields/{ty}")))?;
        }
    }
    for (ty, condition) in &grant.conditions {
        let compiled = lockstep_core::grant::compile_condition(condition)?;
        for name in compiled.names().iter().filter(|name| *name != "fields") {
            known.check_field(ty, name).map_err(|refused| Rejection {
                code: Code::InvalidCondition,
                message: format!("the condition for {ty} names what no {ty} has: {}", refused.message),
                pointer: Some(format!("/conditions/{ty}")),
            })?;
        }
    }
    grant.compile()?;
    Ok(grant)
}

/// The types of an organisation's businesses: a grant may name what one of them has.
struct Known(Vec<Arc<Schema>>);

impl Known {
    fn check_type(&self, ty: &TypeId) -> Result<(), Rejection> {
        self.first(|schema| schema.shape(ty.as_str()).map(|_| ()))
    }

    fn check_field(&self, ty: &TypeId, field: &str) -> Result<(), Rejection> {
        self.first(|schema| schema.shape(ty.as_str()).and_then(|shape| shape.field(field).map(|_| ())))
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
    let label = check_label("label", &body.label)?;
    let provider = match body.provider {
        Some(provider) => provider,
        None => Provider::parse(&slug(&label)).map_err(|_empty| {
            let text = format!("the label {label:?} gives no provider slug: give one as \"provider\"");
            Rejection::new(Code::InvalidValue, text).at_field("provider")
        })?,
    };
    let usual = Grant {
        business_access_rule: BusinessAccessRule::default(),
        abilities: Ability::usual(),
        types: None,
        conditions: BTreeMap::new(),
        hidden_fields: BTreeMap::new(),
    };
    let grant = granted(world, &body.organisation_name, usual, body.grant)?;
    let secret = |prefix: &str| format!("{prefix}{}", URL_SAFE_NO_PAD.encode(world.ids.secret()));
    let id = ApplicationId(world.ids.ordered());
    let client_id = format!("client_{}", id.to_string().trim_start_matches(ApplicationId::PREFIX));
    let (client_secret, api_key) = (secret("lss_"), secret("lsk_"));
    let application = Application {
        id,
        label,
        provider: provider.clone(),
        organisation: body.organisation_name,
        client_id: client_id.clone(),
        secret_digest: digest_of(&client_secret),
        key_digest: digest_of(&api_key),
        grant,
        created_at: world.clock.now(),
        is_revoked: false,
    };
    let mut control = blank(world, principal, "application.create", id);
    let claimed = provider_key(&application.organisation, &provider);
    control.puts.push(Put { key: claimed, value: Some(Setting::Provider(id)), expect: Expect::Absent });
    control.puts.push(put(application, Expect::Absent));
    let taken = |put: &Put| {
        (put.key.kind == SettingKind::Provider).then(|| {
            let text =
                format!("the provider {provider} is taken in this organisation: give another \"provider\" or label");
            Rejection::new(Code::ProviderTaken, text).at_field("provider").into()
        })
    };
    claim(world, control, taken).await?;
    Ok(ApplicationCreated { id, provider, client_id, client_secret, api_key })
}

fn find(world: &World, id: &str) -> Result<Arc<LiveApplication>, Refusal> {
    let id: ApplicationId = id.parse()?;
    let found = world.settings.read(|settings| settings.applications.get(&id).cloned());
    found
        .filter(|live| !live.application.is_revoked)
        .ok_or_else(|| Refusal::new(Code::NotFound, format!("there is no application {id}")))
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
    if body.organisation_name.is_some_and(|name| name != standing.organisation) {
        let text =
            format!("an application stays in its organisation, {}: make another one there", standing.organisation);
        return Err(Rejection::new(Code::InvalidValue, text).at_field("organisationName").into());
    }
    let label = body.label.map(|label| check_label("label", &label)).transpose()?;
    let application = Application {
        label: label.unwrap_or_else(|| standing.label.clone()),
        grant: granted(world, &standing.organisation, standing.grant.clone(), body.grant)?,
        ..standing.clone()
    };
    let mut control = blank(world, principal, "application.update", standing.id);
    control.puts.push(put(application, Expect::Version(live.version)));
    commit(world, control).await?;
    super::mirror::align_all(world, StartAt::Now).await?;
    Ok(ApplicationChanged { id: standing.id })
}

/// Revokes an application's credentials. Its subscriptions are sent nothing more; its provider slug stays taken, so
/// that its external ids never mean another application's records.
///
/// # Errors
/// `forbidden`, `not_found`.
pub async fn delete(world: &World, principal: &Principal, id: &str) -> Result<ApplicationChanged, Refusal> {
    principal.must_administer()?;
    let live = find(world, id)?;
    let mut control = blank(world, principal, "application.delete", live.application.id);
    let revoked = Application { is_revoked: true, ..live.application.clone() };
    control.puts.push(put(revoked, Expect::Version(live.version)));
    commit(world, control).await?;
    Ok(ApplicationChanged { id: live.application.id })
}

/// Every application that has not been revoked.
///
/// # Errors
/// `forbidden`.
pub fn list(world: &World, principal: &Principal) -> Result<Vec<ApplicationView>, Refusal> {
    principal.must_administer()?;
    let view = |live: &LiveApplication| {
        let Application { id, label, provider, organisation, client_id, grant, created_at, .. } =
            live.application.clone();
        ApplicationView {
            id,
            label,
            provider,
            organisation_name: organisation,
            client_id,
            business_access_rule: grant.business_access_rule,
            abilities: grant.abilities,
            types: grant.types,
            conditions: grant.conditions,
            hidden_fields: grant.hidden_fields,
            created_at: created_at.to_string(),
        }
    };
    Ok(world.settings.read(|settings| {
        settings.applications.values().filter(|live| !live.application.is_revoked).map(|live| view(live)).collect()
    }))
}
