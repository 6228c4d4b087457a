//! Who is calling, and what they may do.

use crate::World;
use crate::refusal::Refusal;
use crate::settings::LiveApplication;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use lockstep_core::application::Business;
use lockstep_core::change::Origin;
use lockstep_core::error::{Code, shown};
use lockstep_core::grant::{Ability, TypeAccess};
use lockstep_core::ids::{ApplicationId, BusinessId, TypeId};
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
    /// An application.
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
    /// `invalid_credentials`, in the same words for unknown, wrong and revoked ones.
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
        match found.filter(|live| !live.application.is_revoked) {
            Some(live) => Ok(Self::Application(live)),
            None => Err(Refusal::new(
                Code::InvalidCredentials,
                "these credentials are unknown, wrong or revoked: check them, or ask the administrator for new ones",
            )),
        }
    }

    /// The same as it stands now, for work that takes a while.
    ///
    /// # Errors
    /// `invalid_credentials`, where it has been revoked meanwhile.
    pub fn renewed(&self, world: &World) -> Result<Self, Refusal> {
        let Self::Application(live) = self else { return Ok(Self::Admin) };
        let id = live.application.id;
        let now = world.settings.read(|settings| settings.applications.get(&id).cloned());
        match now.filter(|live| !live.application.is_revoked) {
            Some(live) => Ok(Self::Application(live)),
            None => Err(Refusal::new(Code::InvalidCredentials, "these credentials have been revoked meanwhile")),
        }
    }

    /// Who makes the changes it makes.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match self {
            Self::Admin => Origin::Admin,
            Self::Application(live) => {
                Origin::Application { id: live.application.id, provider: live.application.provider.clone() }
            }
        }
    }

    /// Its application, if it is one.
    #[must_use]
    pub fn application(&self) -> Option<ApplicationId> {
        self.origin().application()
    }

    /// How it stands in the audit log.
    #[must_use]
    pub fn name(&self) -> String {
        self.application().map_or_else(|| "admin".to_owned(), |id| id.to_string())
    }

    /// A business it may enter. One of another organisation is as unknown as one that is not there.
    ///
    /// # Errors
    /// `business_not_found`.
    pub fn business(&self, world: &World, id: &str) -> Result<Arc<Business>, Refusal> {
        let found = BusinessId::parse(id).ok().and_then(|id| {
            world.settings.read(|settings| settings.businesses.get(&id).map(|(found, _)| Arc::clone(found)))
        });
        let open = found.filter(|business| match self {
            Self::Admin => !business.is_closed,
            Self::Application(live) => live.is_at_home(business),
        });
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
            Self::Application(live) if !live.application.grant.abilities.contains(&ability) => Err(Refusal::new(
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
                let verb = if access == TypeAccess::Read { "read" } else { "write" };
                Err(Refusal::new(Code::Forbidden, format!("this credential may not {verb} {ty} records")))
            }
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
