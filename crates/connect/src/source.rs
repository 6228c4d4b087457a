//! A connector as others use it: what it asks for, whether a configuration works, which streams there are, and their
//! records.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use lockstep_core::clock::Clock;
use lockstep_egress::Transport;
use lockstep_manifest::{
    Check as SaidCheck, DeclarativeStream, Manifest, PartitionRouter, Problem, Retriever, Spec, StateMigration, Stream,
    parse_spec,
};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::account::Account;
use crate::budget::Budget;
use crate::failure::Failure;
use crate::files::Files;
use crate::keep::Keep;
use crate::read::{Event, Places, Read, StreamReader, chosen};
use crate::secret::Secrets;
use crate::{config, dynamic, schema};

/// Slices of a stream read at a time, where the manifest says nothing, and at most.
const SLICES_AT_ONCE: usize = 4;
const SLICES_AT_ONCE_MAX: usize = 32;

/// A connector: a manifest and the files beside it. Cloning shares them.
#[derive(Clone)]
pub struct Source {
    manifest: Arc<Manifest>,
    spec: Option<Arc<Spec>>,
    files: Arc<dyn Files>,
}

/// What a source needs of the world.
#[derive(Clone)]
pub struct World {
    /// The way out.
    pub transport: Arc<dyn Transport>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// A number drawn for this account; nonces begin with it.
    pub seed: u64,
    /// Who keeps the configuration, where a platform changes it; none where nobody does.
    pub keep: Option<Arc<dyn Keep>>,
}

/// A manifest that cannot be used; its problems, each with line and path.
#[derive(Debug, Clone, thiserror::Error)]
pub struct BadManifest(pub Vec<Problem>);

impl fmt::Display for BadManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// A stream that cannot be read here, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The stream's name.
    pub stream: String,
    /// One sentence, with the place in the manifest.
    pub why: String,
}

/// Whether a configuration works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// It does.
    Works,
    /// It does not, and why.
    Fails(String),
}

/// A stream as it is offered.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamInfo {
    /// Its name.
    pub name: String,
    /// How its records look, as JSON Schema.
    pub schema: Arc<Value>,
    /// The field that newness is measured by, where it can be read so.
    pub cursor_field: Option<String>,
    /// The fields that tell records apart; each a path.
    pub primary_key: Vec<Vec<String>>,
}

/// Which streams are to be read, each from which state.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// Names of streams in their order, with their states; `None` for all there are.
    pub streams: Option<Vec<(String, Value)>>,
    /// States for streams that are not named.
    pub states: BTreeMap<String, Value>,
    /// Whether the state is told after each page too, so that a reading that is broken off goes on there. Such a state
    /// holds more than Airbyte's do, until the stream has been read to its end.
    pub is_by_page: bool,
}

impl Source {
    /// Reads a manifest. A specification that is not in it may be beside it, as `spec.yaml` or `spec.json`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(manifest: &str, files: Arc<dyn Files>) -> Result<Self, BadManifest> {
        let manifest = Manifest::parse(manifest).map_err(BadManifest)?;
        let beside = || files.load("spec.yaml").or_else(|| files.load("spec.json"));
        let spec = match &manifest.spec {
            Some(spec) => Some(spec.clone()),
            None => beside().map(|text| parse_spec(&text)).transpose().map_err(|problem| BadManifest(vec![problem]))?,
        };
        Ok(Self { manifest: Arc::new(manifest), spec: spec.map(Arc::new), files })
    }

    /// What configuration it asks for, as the protocol's `ConnectorSpecification`.
    #[must_use]
    pub fn spec(&self) -> Value {
        let Some(spec) = &self.spec else { return json!({"connectionSpecification": {}}) };
        let mut said = Map::new();
        said.insert("connectionSpecification".to_owned(), spec.connection_specification.0.as_ref().clone());
        if let Some(url) = &spec.documentation_url {
            said.insert("documentationUrl".to_owned(), url.as_str().into());
        }
        if let Some(auth) = &spec.advanced_auth {
            said.insert("advanced_auth".to_owned(), auth.0.as_ref().clone());
        }
        Value::Object(said)
    }

    /// Streams that cannot be read here, and why.
    #[must_use]
    pub fn refused(&self) -> Vec<Refused> {
        let plain =
            self.manifest.streams.iter().filter_map(|entry| Some((entry.name.clone(), entry.stream.as_ref().err()?)));
        let dynamic = self
            .manifest
            .dynamic_streams
            .iter()
            .filter_map(|entry| Some((entry.name.clone(), entry.template.as_ref().err()?)));
        plain.chain(dynamic).map(|(stream, problem)| Refused { stream, why: problem.to_string() }).collect()
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Fields of the manifest that are nearly ones of the format, each with its place and what may be meant.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        self.manifest.doubts.iter().map(ToString::to_string).collect()
    }

    /// Makes a configuration ready for use.
    ///
    /// # Errors
    /// What the configuration lacks, each thing in a line.
    pub fn open(&self, config: Value, world: World) -> Result<Session, Failure> {
        let now = jiff::Timestamp::from_millisecond(world.clock.now().0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let given = config.clone();
        let (config, is_new) = config::migrated(self.spec.as_deref(), config, now)?;
        let kept = config::Kept::new(config.clone(), is_new);
        let config = config::transformed(self.spec.as_deref(), config, now)?;
        let wrong = self.spec.as_ref().map(|spec| config::check(spec, &config, now)).unwrap_or_default();
        if !wrong.is_empty() {
            return Err(Failure::config(wrong.join("\n")));
        }
        let schema = self.spec.as_ref().map(|spec| Arc::clone(&spec.connection_specification.0)).unwrap_or_default();
        let secrets = Secrets::of(&schema, &[&given, &config]);
        let mut account = Account::new(world, config, secrets);
        account.kept = kept;
        if let Some(said) = &self.manifest.api_budget {
            account.budget = Budget::of(said, &account.scope())?;
        }
        Ok(Session { source: self.clone(), account: Arc::new(account) })
    }
}

/// A source with a configuration: one account of a platform. Cloning shares tokens and budget.
#[derive(Clone)]
pub struct Session {
    source: Source,
    account: Arc<Account>,
}

impl Session {
    pub(crate) const fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// The text without the secrets of this account.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        self.account.secrets.clean(text)
    }

    /// The configuration as streams see it.
    #[must_use]
    pub fn config(&self) -> &Value {
        &self.account.config
    }

    /// The configuration that its holder should keep from now on: brought to the form of this manifest, or with a refresh
    /// token in place of one that is spent. `None` where nothing is new since the last call.
    #[must_use]
    pub fn take_kept_config(&self) -> Option<Value> {
        self.account.kept.take()
    }

    /// Tries the configuration: one record of each stream that the manifest names for it.
    pub async fn check(&self) -> Check {
        match self.checked().await {
            Ok(()) => Check::Works,
            Err(failure) => Check::Fails(self.clean(&failure.message)),
        }
    }

    async fn checked(&self) -> Result<(), Failure> {
        let streams = self.streams().await?;
        let tried: Vec<&Arc<Stream>> = match &self.source.manifest.check {
            Some(SaidCheck::Stream(said)) => {
                let mut tried = Vec::new();
                for name in &said.stream_names {
                    self.is_readable(name)?;
                    let stream = streams.iter().find(|stream| stream.name() == name);
                    let known = || streams.iter().map(|stream| stream.name()).collect::<Vec<_>>().join(", ");
                    tried.push(stream.ok_or_else(|| {
                        Failure::system(format!("the check names the stream {name}, and there are only {}", known()))
                    })?);
                }
                tried
            }
            Some(SaidCheck::Dynamic(said)) => {
                streams.iter().take(usize::try_from(said.stream_count).unwrap_or(1)).collect()
            }
            None => streams.iter().take(1).collect(),
        };
        if tried.is_empty() {
            return Err(Failure::system("there is no stream to try the configuration with"));
        }
        for stream in tried {
            let reader = StreamReader::new(&self.account, &self.source.files, stream, &Value::Null)?;
            let cursor = Mutex::new(reader.cursor(&Value::Null)?);
            // No record is no failure: an account may be empty.
            let first = reader.records(&cursor).next().await;
            first.transpose().map_err(|failure| failure.while_at(format!("stream {}", stream.name())))?;
        }
        Ok(())
    }

    fn is_readable(&self, name: &str) -> Result<(), Failure> {
        match self.source.refused().into_iter().find(|refused| refused.stream == name) {
            Some(refused) => Err(Failure::system(format!("the stream {name} cannot be read: {}", refused.why))),
            None => Ok(()),
        }
    }

    /// All streams that can be read, those made from templates too.
    async fn streams(&self) -> Result<Vec<Arc<Stream>>, Failure> {
        let scope = self.account.scope();
        let mut streams = Vec::new();
        for entry in &self.source.manifest.streams {
            let Ok(stream) = &entry.stream else { continue };
            if entry.condition.as_ref().map_or(Ok(true), |condition| condition.is_true(&scope))? {
                add(&mut streams, Arc::clone(stream))?;
            }
        }
        for entry in &self.source.manifest.dynamic_streams {
            let Ok(template) = &entry.template else { continue };
            for stream in dynamic::streams(template, &self.account, &self.source.files).await? {
                add(&mut streams, Arc::new(stream))?;
            }
        }
        Ok(streams)
    }

    /// The streams that can be read, as they are offered.
    ///
    /// # Errors
    /// The platform does not tell what only it knows.
    pub async fn discover(&self) -> Result<Vec<StreamInfo>, Failure> {
        let found = self.discovered().await;
        found.map_err(|failure| Failure { message: self.clean(&failure.message), ..failure })
    }

    async fn discovered(&self) -> Result<Vec<StreamInfo>, Failure> {
        let scope = self.account.scope();
        let mut infos = Vec::new();
        for stream in self.streams().await? {
            let said = chosen(&stream, &Value::Null, &self.account)?;
            let cursor_field =
                said.incremental_sync.as_ref().map(|said| said.cursor_field().text(&scope)).transpose()?;
            infos.push(StreamInfo {
                name: said.name.clone(),
                schema: schema::ask(said, &self.account, &self.source.files).await?,
                cursor_field,
                primary_key: said.primary_key.0.clone(),
            });
        }
        Ok(infos)
    }

    /// Reads streams, one after the other, and tells what happens until all are at their ends or `out` is closed.
    ///
    /// # Errors
    /// Nothing could be begun. What fails later is told as an event.
    pub async fn read(&self, ask: Ask, out: &mpsc::Sender<Event>) -> Result<(), Failure> {
        let clean = |failure: Failure| Failure { message: self.clean(&failure.message), ..failure };
        let streams = self.streams().await.map_err(clean)?;
        let at_once = self.slices_at_once().map_err(clean)?;
        for name in ask.states.keys().filter(|name| !streams.iter().any(|stream| stream.name() == **name)) {
            let failure = Failure::config(format!("there is a state of it, and no such stream; {}", known(&streams)));
            let stream = Arc::from(name.as_str());
            let _gone = out.send(Event::Problem { stream, part: String::new(), failure, is_gap: false }).await;
        }
        let asked = match ask.streams {
            Some(asked) => asked,
            None => {
                let state = |stream: &Arc<Stream>| ask.states.get(stream.name()).cloned().unwrap_or_default();
                streams.iter().map(|stream| (stream.name().to_owned(), state(stream))).collect()
            }
        };
        for (name, state) in asked {
            let stream: Arc<str> = Arc::from(name.as_str());
            if out.send(Event::Began { stream: Arc::clone(&stream) }).await.is_err() {
                return Ok(());
            }
            let read = match streams.iter().find(|stream| stream.name() == name) {
                Some(said) => self.read_one(said, state, (at_once, ask.is_by_page), out).await,
                None => Err(self.unknown(&name, &streams)),
            };
            let is_whole = match read {
                Ok(is_whole) => is_whole,
                Err(failure) => {
                    let stream = Arc::clone(&stream);
                    let problem = Event::Problem { stream, part: String::new(), failure: clean(failure), is_gap: true };
                    let _gone = out.send(problem).await;
                    false
                }
            };
            if out.send(Event::Ended { stream, is_whole }).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn unknown(&self, name: &str, streams: &[Arc<Stream>]) -> Failure {
        if let Err(failure) = self.is_readable(name) {
            return failure;
        }
        Failure::config(format!("there is no stream {name}; {}", known(streams)))
    }

    async fn read_one(
        &self,
        said: &Arc<Stream>,
        mut state: Value,
        (at_once, is_by_page): (usize, bool),
        out: &mpsc::Sender<Event>,
    ) -> Result<bool, Failure> {
        let places = Places::of(&mut state, self.account.now());
        // Of two streams the state decides which is read: one that is half read must not speak for the other.
        let places = Some(places).filter(|_| is_by_page && matches!(**said, Stream::Declarative(_)));
        let state = migrated(chosen(said, &state, &self.account)?, state, &self.account)?;
        let reader = StreamReader::new(&self.account, &self.source.files, said, &state)?;
        let reading = Read::new(&reader, &state, places, out)?;
        Ok(reading.run(at_once).await)
    }

    fn slices_at_once(&self) -> Result<usize, Failure> {
        let Some(said) = &self.source.manifest.concurrency_level else { return Ok(SLICES_AT_ONCE) };
        let value = said.default_concurrency.text(&self.account.scope())?;
        let wanted: usize = value
            .trim()
            .parse()
            .map_err(|_odd| Failure::config(format!("the concurrency is {value:?}; give a whole number")))?;
        let most = said.max_concurrency.and_then(|most| usize::try_from(most).ok()).unwrap_or(SLICES_AT_ONCE_MAX);
        Ok(wanted.min(most).clamp(1, SLICES_AT_ONCE_MAX))
    }
}

fn known(streams: &[Arc<Stream>]) -> String {
    format!("there are {}", streams.iter().map(|stream| stream.name()).collect::<Vec<_>>().join(", "))
}

/// Adds a stream, whose name tells it from the others.
fn add(streams: &mut Vec<Arc<Stream>>, stream: Arc<Stream>) -> Result<(), Failure> {
    if streams.iter().any(|known| known.name() == stream.name()) {
        let message = format!(
            "two streams are called {}; give one another name, or check the lists that streams are made from",
            stream.name()
        );
        return Err(Failure::config(message));
    }
    streams.push(stream);
    Ok(())
}

/// A state of an older version in the present form.
fn migrated(said: &DeclarativeStream, state: Value, account: &Account) -> Result<Value, Failure> {
    let mut state = state;
    for StateMigration::LegacyToPerPartition(_) in &said.state_migrations {
        state = per_partition(said, state, account)?;
    }
    Ok(state)
}

/// From `{"ID": {"FIELD": …}}` to a list of partitions.
fn per_partition(said: &DeclarativeStream, state: Value, account: &Account) -> Result<Value, Failure> {
    let routers = match &said.retriever {
        Retriever::Simple(retriever) => &retriever.partition_router.0,
        Retriever::Async(retriever) => &retriever.partition_router.0,
    };
    let field = match routers.as_slice() {
        [PartitionRouter::Substream(parents)] => match parents.parent_stream_configs.as_slice() {
            [one] => one.partition_field.text(&account.scope())?,
            _ => return Ok(state),
        },
        [PartitionRouter::Union(union)] => union.partition_field.text(&account.scope())?,
        _ => return Ok(state),
    };
    let Some(fields) = state.as_object().filter(|fields| !fields.is_empty() && !fields.contains_key("states")) else {
        return Ok(state);
    };
    if !fields.values().all(|cursor| cursor.as_object().is_some_and(|cursor| cursor.len() == 1)) {
        return Ok(state);
    }
    let states = fields.iter().map(|(key, cursor)| json!({"partition": {field.as_str(): key}, "cursor": cursor}));
    Ok(json!({"states": states.collect::<Vec<_>>()}))
}
