//! Who is calling, and what they may do.

use crate::World;
use crate::refusal::Refusal;
use crate::settings::{LiveApplication, Owner};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use lockstep_core::application::{Application, Business};
use lockstep_core::change::Origin;
use lockstep_core::error::{Code, shown};
use lockstep_core::grant::{Ability, TypeAccess};
use lockstep_core::ids::{ApplicationId, BusinessId, TokenId, TypeId};
use lockstep_core::rules::scope::Reach;
use std::sync::Arc;

/// Credentials as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// An API key, by `Authorization: Bearer` or `Api-Key`.
    Key(String),
    /// Client id and secret, by HTTP Basic.
    Client(String, String),
}

/// Whoever is calling.
#[derive(Clone, Debug)]
pub enum Principal {
    /// The administrator.
    Admin,
    /// An application, by its own credential or by a token.
    Application(Arc<LiveApplication>),
}

/// SHA-256, as credentials are stored: they are random, so nothing slower is needed.
#[must_use]
pub fn digest_of(secret: &str) -> [u8; 32] {
    let hash = digest(&SHA256, secret.as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.as_ref());
    bytes
}

impl Principal {
    /// Whose credentials these are.
    ///
    /// # Errors
    /// `invalid_credentials`, in the same words for unknown, wrong, revoked and expired ones.
    pub fn of(world: &World, credentials: &Credentials) -> Result<Self, Refusal> {
        let found = match credentials {
            Credentials::Key(key) => {
                let digest = digest_of(key);
                if verify_slices_are_equal(&digest, &world.admin_key_digest).is_ok() {
                    return Ok(Self::Admin);
                }
                world.settings.read(|settings| settings.by_key(&digest).cloned())
            }
            Credentials::Client(id, secret) => {
                let digest = digest_of(secret);
                let known = world.settings.read(|settings| settings.by_client(id).cloned());
                known.filter(|live| verify_slices_are_equal(&digest, &live.application.secret_digest).is_ok())
            }
        };
        match found.filter(|live| live.is_living(world.clock.now())) {
            Some(live) => Ok(Self::Application(live)),
            None => Err(Refusal::new(
                Code::InvalidCredentials,
                "these credentials are unknown, wrong, revoked or expired: check them, or ask whoever gave them for new \
                 ones",
            )),
        }
    }

    /// The same as it stands now, for work that takes a while.
    ///
    /// # Errors
    /// `invalid_credentials`, where it has been revoked meanwhile.
    pub fn renewed(&self, world: &World) -> Result<Self, Refusal> {
        let Self::Application(live) = self else { return Ok(Self::Admin) };
        let (id, token) = (live.application.id, live.token_id());
        let now = world.settings.read(|settings| settings.credential(id, token).cloned());
        match now.filter(|live| live.is_living(world.clock.now())) {
            Some(live) => Ok(Self::Application(live)),
            None => {
                Err(Refusal::new(Code::InvalidCredentials, "these credentials have been revoked or expired meanwhile"))
            }
        }
    }

    /// Who makes the changes it makes.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match self {
            Self::Admin => Origin::Admin,
            Self::Application(live) => {
                let Application { id, provider, .. } = &live.application;
                Origin::Application { id: *id, provider: provider.clone(), token: live.token_id() }
            }
        }
    }

    /// Its application, if it is one.
    #[must_use]
    pub fn application(&self) -> Option<ApplicationId> {
        self.origin().application()
    }

    /// Its token, if it is one.
    #[must_use]
    pub fn token(&self) -> Option<TokenId> {
        match self {
            Self::Admin => None,
            Self::Application(live) => live.token_id(),
        }
    }

    /// Whose what it makes in a business is.
    #[must_use]
    pub fn owner(&self, business: &BusinessId) -> Owner {
        Owner { business: business.clone(), application: self.application(), token: self.token() }
    }

    /// Whether what an application, or a token of one, has made is the caller's: a token's is what was made with it,
    /// an application's is its tokens' too, the administrator's is all.
    #[must_use]
    pub fn owns(&self, application: Option<ApplicationId>, token: Option<TokenId>) -> bool {
        match self {
            Self::Admin => true,
            Self::Application(live) => {
                application == Some(live.application.id) && live.token_id().is_none_or(|own| token == Some(own))
            }
        }
    }

    /// How it stands in the audit log.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Admin => "admin".to_owned(),
            Self::Application(live) => match live.token_id() {
                Some(token) => token.to_string(),
                None => live.application.id.to_string(),
            },
        }
    }

    /// What tells apart those who see different things of one business: who is given the same text sees the same.
    #[must_use]
    pub fn sight(&self) -> String {
        match self {
            Self::Admin => String::new(),
            Self::Application(live) => {
                let (grant, further) = (&live.powers.grant, &live.powers.further);
                // What a token's own conditions see hangs on its application.
                let token_of = live.token.as_ref().map(|token| token.application);
                serde_json::json!([grant.types, grant.conditions, grant.hidden_fields, further, token_of]).to_string()
            }
        }
    }

    /// Whether a business is open to it.
    #[must_use]
    pub fn may_enter(&self, business: &Business) -> bool {
        match self {
            Self::Admin => !business.is_closed,
            Self::Application(live) => live.is_at_home(business),
        }
    }

    /// A business it may enter. One of another organisation is as unknown as one that is not there.
    ///
    /// # Errors
    /// `business_not_found`.
    pub fn business(&self, world: &World, id: &str) -> Result<Arc<Business>, Refusal> {
        let found = BusinessId::parse(id).ok().and_then(|id| {
            world.settings.read(|settings| settings.businesses.get(&id).map(|(found, _)| Arc::clone(found)))
        });
        let open = found.filter(|business| self.may_enter(business));
        open.ok_or_else(|| {
            let text = format!("there is no business {} that this credential may use", shown(id));
            Refusal::new(Code::BusinessNotFound, text)
        })
    }

    /// That it may do this at all.
    ///
    /// # Errors
    /// `forbidden`, naming the ability that is missing.
    pub fn must(&self, ability: Ability) -> Result<(), Refusal> {
        match self {
            Self::Application(live) if !live.powers.grant.abilities.contains(&ability) => Err(Refusal::new(
                Code::Forbidden,
                format!("this credential lacks the ability {:?}: ask the administrator to grant it", ability.as_str()),
            )),
            _ => Ok(()),
        }
    }

    /// That it may administer a business: it may enter it and has the ability to.
    ///
    /// # Errors
    /// `business_not_found`, `forbidden`.
    pub fn must_manage(&self, business: &Business) -> Result<(), Refusal> {
        match self {
            Self::Application(live) if !live.is_at_home(business) => {
                let text = format!("there is no business {} that this credential may use", shown(business.id.as_str()));
                Err(Refusal::new(Code::BusinessNotFound, text))
            }
            _ => self.must(Ability::Manage),
        }
    }

    /// That it may use a type so, and what it may see of it.
    ///
    /// # Errors
    /// `forbidden`, naming the type.
    pub fn reach(&self, business: &Business, ty: &TypeId, access: TypeAccess) -> Result<Arc<Reach>, Refusal> {
        match self {
            Self::Admin => Ok(Arc::new(Reach::everything())),
            Self::Application(live) if live.may(business, ty, access) => Ok(live.reach(ty)),
            Self::Application(_) => {
                let text = format!("this credential may not {} {ty} records", access.as_str());
                Err(Refusal::new(Code::Forbidden, text))
            }
        }
    }

    /// What it may see of a type, wherever it may use it.
    #[must_use]
    pub fn sees(&self, ty: &TypeId) -> Arc<Reach> {
        match self {
            Self::Admin => Arc::new(Reach::everything()),
            Self::Application(live) => live.reach(ty),
        }
    }

    /// The condition under which it sees records of a type, as a grant would word it; none where it sees all.
    #[must_use]
    pub fn condition(&self, ty: &TypeId) -> Option<String> {
        match self {
            Self::Admin => None,
            Self::Application(live) => live.powers.condition(ty),
        }
    }

    /// That it is the administrator.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn must_administer(&self) -> Result<(), Refusal> {
        match self {
            Self::Admin => Ok(()),
            Self::Application(_) => Err(Refusal::new(
                Code::Forbidden,
                "management calls take the administrator's API key, LOCKSTEP_ADMIN_KEY",
            )),
        }
    }
}
