//! A connector linked to its platform's double, with what its default mapping makes of records.

use lockstep_connect::{Ask, Connector, Event, Keep, Link, Object, World, Write, Written};
use lockstep_core::Fields;
use lockstep_core::clock::Clock;
use lockstep_core::mapping::Compiled;
use lockstep_core::schema::Schema;
use lockstep_sim::platforms::activecampaign::ActiveCampaign;
use lockstep_sim::platforms::blueconic::BlueConic;
use lockstep_sim::platforms::copernica::Copernica;
use lockstep_sim::platforms::platform_x::PlatformX;
use lockstep_sim::platforms::rest::{Auth, Rest};
use lockstep_sim::platforms::{Platform, ScaledClock, Site};
use lockstep_sim::time::BEGINNING;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// A connector linked to its platform.
pub(crate) struct Linked<P> {
    pub(crate) connector: Connector,
    pub(crate) link: Link,
    pub(crate) site: Arc<Site<P>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Value,
    pub(crate) object: &'static str,
    pub(crate) options: Fields,
    pub(crate) mapping: Compiled,
    matching: Vec<Vec<String>>,
}

/// The text of a connector's file.
pub(crate) fn file(connector: &str, name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connectors").join(connector);
    fs::read_to_string(folder.join(name)).unwrap()
}

/// An object of JSON.
pub(crate) fn fields(value: Value) -> Fields {
    let Value::Object(fields) = value else { panic!("{value} is no object") };
    fields
}

impl<P: Platform> Linked<P> {
    pub(crate) fn new(connector: &str, object: &'static str, options: Value, config: Value, platform: P) -> Self {
        let files = (file(connector, "manifest.yaml"), file(connector, "lockstep.yaml"));
        let connector = Connector::parse(&files.0, Some(&files.1), Arc::new(())).unwrap_or_else(|bad| panic!("{bad}"));
        let clock: Arc<dyn Clock> = Arc::new(ScaledClock::begin(1));
        let site = Arc::new(Site::new(platform, 7, Arc::clone(&clock)));
        let world = World { transport: Arc::clone(&site) as _, clock: Arc::clone(&clock), seed: 7, keep: None };
        let link = connector.open(config.clone(), world).unwrap();
        let remote = connector.object(object).unwrap();
        let schema = Schema::ready_made();
        let mapping = remote.mapping.compile(schema.shape(&remote.ty).unwrap()).unwrap();
        let matching = remote.matching.clone();
        let options = fields(options);
        Self { connector, link, site, clock, config, object, options, mapping, matching }
    }

    fn world(&self, keep: Option<Arc<dyn Keep>>) -> World {
        World { transport: Arc::clone(&self.site) as _, clock: Arc::clone(&self.clock), seed: 7, keep }
    }

    /// Links again, with the configuration as it is now.
    pub(crate) fn reopen(&mut self) {
        self.link = self.opened(None);
    }

    /// Another link with the configuration as it is now.
    pub(crate) fn opened(&self, keep: Option<Arc<dyn Keep>>) -> Link {
        self.connector.open(self.config.clone(), self.world(keep)).unwrap()
    }

    /// How a record should look there.
    pub(crate) fn wanted(&self, record: &Value) -> Fields {
        let outward = self.mapping.outward(&fields(record.clone()), &BTreeMap::new());
        assert_eq!((outward.problems.len(), outward.missing.len()), (0, 0), "{:?}", outward.problems);
        outward.values
    }

    /// The write of a record: of these fields, of all where none are named.
    pub(crate) fn write_of(&self, token: &str, id: Option<&str>, record: &Value, keys: Option<&[&str]>) -> Write {
        let wanted = self.wanted(record);
        let keys = keys.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
        Write {
            token: token.to_owned(),
            id: id.map(str::to_owned),
            changed: self.mapping.object(&wanted, keys.as_deref()),
            whole: self.mapping.object(&wanted, None),
            groups: self.matching.iter().filter_map(|group| self.mapping.group(group, &wanted)).collect(),
            may_create: id.is_none(),
        }
    }

    pub(crate) async fn write(&self, writes: Vec<Write>) -> Vec<Written> {
        self.link.write(self.object, &self.options, writes).await
    }

    /// Writes one and gives its id, and whether it is new.
    pub(crate) async fn done(&self, write: Write) -> (String, bool) {
        match self.write(vec![write]).await.remove(0) {
            Written::Done { id, is_new, .. } => (id, is_new),
            Written::Refused(trouble) => panic!("{trouble:?}"),
        }
    }

    /// All records of a stream.
    pub(crate) async fn rows(&self, stream: &str) -> Vec<Value> {
        let (out, mut events) = tokio::sync::mpsc::channel(64);
        let ask = Ask { streams: Some(vec![(stream.to_owned(), Value::Null)]), ..Ask::default() };
        self.link.session().read(ask, &out).await.unwrap();
        drop(out);
        let mut rows = Vec::new();
        while let Some(event) = events.recv().await {
            if let Event::Records { records, .. } = event {
                rows.extend(records.into_iter().map(Arc::unwrap_or_clone));
            }
        }
        rows
    }

    pub(crate) async fn fetch(&self, id: &str) -> Option<Object> {
        self.link.fetch(self.object, &self.options, id).await.unwrap()
    }

    /// What an object of the platform's is known to hold, everything that it does not say being empty.
    pub(crate) async fn shown(&self, id: &str) -> Fields {
        let found = self.fetch(id).await.unwrap();
        self.mapping.shown(&self.mapping.completed(found.tree))
    }

    /// Whether the platform holds just what the record wants.
    pub(crate) async fn assert_holds(&self, id: &str, record: &Value) {
        let (wanted, shown) = (self.wanted(record), self.shown(id).await);
        assert_eq!(self.mapping.differing(&wanted, &shown, true), [""; 0], "{wanted:?} {shown:?}");
    }
}

pub(crate) fn blueconic(people: u64) -> Linked<BlueConic> {
    let config = json!({"base_url": "https://acme.blueconic.net/rest/v2", "client_id": "hub", "client_secret": "s3"});
    Linked::new("blueconic", "profile", json!({}), config, BlueConic::new(1).with_people(people, BEGINNING))
}

pub(crate) fn copernica(version: &str, people: u64) -> Linked<Copernica> {
    let config = json!({"access_token": Copernica::TOKEN});
    let platform = Copernica::new(1).with_people(people, BEGINNING);
    Linked::new(&format!("copernica-{version}"), "profile", json!({"database": "12"}), config, platform)
}

pub(crate) fn activecampaign(people: u64) -> Linked<ActiveCampaign> {
    let config = json!({"base_url": "https://acme.api-us1.com/api/3", "api_key": ActiveCampaign::TOKEN});
    let platform = ActiveCampaign::new(1).with_fields(110).with_people(people, BEGINNING);
    Linked::new("activecampaign", "contact", json!({}), config, platform)
}

pub(crate) fn platform_x(people: u64) -> Linked<PlatformX> {
    let config = json!({
        "base_url": "https://api.platform-x.test", "consumer_key": PlatformX::CONSUMER_KEY,
        "consumer_secret": PlatformX::CONSUMER_SECRET, "token": PlatformX::TOKEN, "token_secret": PlatformX::TOKEN_SECRET,
    });
    let platform = PlatformX::new().with_people(people, 1, BEGINNING);
    Linked::new("platform-x", "contact", json!({}), config, platform)
}

pub(crate) fn rest(people: u64) -> Linked<Rest> {
    let config = json!({
        "base_url": "https://rest.test", "path": "/offset/items", "item_path": "/items",
        "records_path": ["data", "items"], "auth": {"type": "bearer", "key": Auth::KEY}, "identity_path": "/me",
    });
    let platform = Rest::new(1, Auth::Bearer).with_people(people, 1, BEGINNING);
    Linked::new("generic-rest", "item", json!({}), config, platform)
}
