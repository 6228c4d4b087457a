//! A connector whole: the manifest, and beside it what the manifest's format cannot say.

use std::sync::Arc;

use lockstep_core::Fields;
use lockstep_manifest::{Authorization, Problem, Remote, Sharing};
use serde_json::{Map, Value};
use url::Url;

use crate::account::Account;
use crate::auth::oauth2;
use crate::failure::Failure;
use crate::files::Files;
use crate::hook::{self, Hint, HookCall, HookRefused};
use crate::link::{Link, draft_of, seen};
use crate::python;
use crate::secret::Secrets;
use crate::source::{BadManifest, Source, World};

/// What the file beside a manifest is called, which its problems begin with.
const FILE: &str = "lockstep.yaml";

/// A connector. Cloning shares it.
#[derive(Clone)]
pub struct Connector {
    /// The reading half.
    pub source: Arc<Source>,
    /// What `lockstep.yaml` says; where there is no such file, the manifest's streams as objects that are only listed.
    pub sharing: Option<Arc<Sharing>>,
}

impl Connector {
    /// Reads a connector's two files; `files` gives those beside them.
    ///
    /// # Errors
    /// Everything that is wrong with either.
    pub fn parse(manifest: &str, sharing: Option<&str>, files: Arc<dyn Files>) -> Result<Self, BadManifest> {
        let source = Source::parse(manifest, files)?;
        let beside = |problem: Problem| {
            let path = [FILE, problem.path.as_str()].into_iter().filter(|part| !part.is_empty());
            Problem { path: path.collect::<Vec<_>>().join(": "), ..problem }
        };
        let sharing = sharing.map(|text| Sharing::parse(text, manifest)).transpose();
        let sharing = sharing.map_err(|problems| BadManifest(problems.into_iter().map(beside).collect()))?;
        let sharing = sharing.or_else(|| Sharing::plain(source.manifest()));
        Ok(Self { source: Arc::new(source), sharing: sharing.map(Arc::new) })
    }

    /// Makes a configuration ready for use.
    ///
    /// # Errors
    /// What the configuration lacks, each thing in a line.
    pub fn open(&self, config: Value, world: World) -> Result<Link, Failure> {
        Link::new(self.source.open(config, world)?, self.sharing.as_ref())
    }

    /// What is said of a remote object.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<&Remote> {
        self.sharing.as_ref()?.types.get(name)
    }

    /// What a call of the platform says, once it has proved where it comes from.
    ///
    /// # Errors
    /// It does not prove it, or cannot be read.
    pub fn hook(&self, object: &str, options: &Fields, call: &HookCall) -> Result<Vec<Hint>, HookRefused> {
        hook::hints(object, self.object(object), options, call)
    }

    fn authorization(&self) -> Result<(&Sharing, &Authorization), Failure> {
        let sharing = self.sharing.as_deref();
        let said = sharing.and_then(|sharing| Some((sharing, sharing.authorization.as_ref()?)));
        said.ok_or_else(|| {
            Failure::config("this platform is not asked for leave; give credentials in the configuration")
        })
    }

    /// Where somebody gives leave to use their account. `challenge` is the S256 one of PKCE.
    ///
    /// # Errors
    /// The connector needs no such leave, or the configuration lacks something.
    pub fn authorize_url(
        &self,
        config: &Value,
        redirect_uri: &str,
        state: &str,
        challenge: &str,
    ) -> Result<String, Failure> {
        let (_, said) = self.authorization()?;
        let scope = texts(config, &[("redirect_uri", redirect_uri), ("state", state), ("challenge", challenge)]);
        let mut url = Url::parse(&said.url.text(&scope)?).map_err(|error| {
            Failure::config(format!("{} makes no URL ({error}); check the configuration", said.url.source()))
        })?;
        if let Value::Object(parameters) = said.parameters.value(&scope)? {
            let mut query = url.query_pairs_mut();
            for (name, value) in parameters {
                query.append_pair(&name, &python::text(&value));
            }
        }
        Ok(url.into())
    }

    /// Turns the code that came back into credentials; gives the whole configuration that is to be kept.
    ///
    /// # Errors
    /// The platform refuses it.
    pub async fn exchange(
        &self,
        config: Value,
        world: World,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Result<Value, Failure> {
        let (sharing, said) = self.authorization()?;
        let spec = self.source.spec();
        let schema = spec.get("connectionSpecification").cloned().unwrap_or_default();
        let secrets = Secrets::of(&schema, &[&config]);
        secrets.add(code);
        secrets.add(verifier);
        let account = Account::new(world, config.clone(), secrets);
        let scope = texts(&config, &[("code", code), ("redirect_uri", redirect_uri), ("verifier", verifier)]);
        let draft = draft_of(&account, &sharing.requester, &said.exchange.call, &scope)?;
        let reply = oauth2::send(&account, draft, "the exchange of the code").await;
        let reply = reply.map_err(|failure| Failure { message: account.secrets.clean(&failure.message), ..failure })?;
        let gained = said.exchange.config.value(&seen(&reply, &scope))?;
        let mut whole = config;
        merge(&mut whole, gained);
        Ok(whole)
    }
}

/// A scope of a configuration and some texts.
fn texts(config: &Value, more: &[(&str, &str)]) -> Map<String, Value> {
    let own = std::iter::once(("config".to_owned(), config.clone()));
    own.chain(more.iter().map(|(name, text)| ((*name).to_owned(), Value::from(*text)))).collect()
}

/// Puts values into a tree, object by object.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
