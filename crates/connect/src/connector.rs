//! A connector whole: the manifest, and beside it what the manifest's format cannot say.

use std::sync::Arc;

use lockstep_core::Fields;
use lockstep_manifest::{Remote, Sharing};
use serde_json::Value;

use crate::failure::Failure;
use crate::files::Files;
use crate::hook::{self, Hint, HookCall, HookRefused};
use crate::link::Link;
use crate::source::{BadManifest, Source, World};

/// A connector. Cloning shares it.
#[derive(Clone)]
pub struct Connector {
    /// The reading half.
    pub source: Arc<Source>,
    /// What `lockstep.yaml` says; none where there is no such file.
    pub sharing: Option<Arc<Sharing>>,
}

impl Connector {
    /// Reads a connector's two files; `files` gives those beside them.
    ///
    /// # Errors
    /// Everything that is wrong with either.
    pub fn parse(manifest: &str, sharing: Option<&str>, files: Arc<dyn Files>) -> Result<Self, BadManifest> {
        let source = Source::parse(manifest, files)?;
        let sharing = sharing.map(|text| Sharing::parse(text, manifest)).transpose().map_err(BadManifest)?;
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

    /// Where somebody gives leave to use their account. `challenge` is the S256 one of PKCE.
    ///
    /// # Errors
    /// The connector needs no such leave, or the configuration lacks something.
    pub fn authorize_url(
        &self,
        _config: &Value,
        _redirect_uri: &str,
        _state: &str,
        _challenge: &str,
    ) -> Result<String, Failure> {
        Err(Failure::system("this part of the connector's runtime is being built"))
    }

    /// Turns the code that came back into credentials; gives the whole configuration that is to be kept.
    ///
    /// # Errors
    /// The platform refuses it.
    pub async fn exchange(
        &self,
        _config: Value,
        _world: World,
        _code: &str,
        _redirect_uri: &str,
        _verifier: &str,
    ) -> Result<Value, Failure> {
        Err(Failure::system("this part of the connector's runtime is being built"))
    }
}
