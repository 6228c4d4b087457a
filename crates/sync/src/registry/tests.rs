//! The registry, with a clock that is put forward and a folder of its own. It must not look at time that passes.

use super::*;
use std::sync::atomic::{AtomicI64, Ordering as Order};

#[derive(Default)]
struct Still(AtomicI64);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Order::Relaxed))
    }
}

impl Still {
    fn pass(&self) {
        self.0.fetch_add(1_001, Order::Relaxed);
    }
}

fn manifest(title: &str) -> String {
    format!(
        "version: 6.0.0\ntype: DeclarativeSource\ncheck: {{type: CheckStream, stream_names: [items]}}\nstreams:\n  - type: DeclarativeStream\n    \
         name: items\n    retriever:\n      type: SimpleRetriever\n      record_selector:\n        type: RecordSelector\n        extractor: {{type: DpathExtractor, field_path: []}}\n      \
         requester: {{type: HttpRequester, url_base: \"https://x.example\", path: /items}}\nspec:\n  type: Spec\n  connection_specification: {{title: {title}, type: object, properties: {{}}}}\n"
    )
}

fn put(home: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(home.join(name)).unwrap();
    std::fs::write(home.join(name).join("manifest.yaml"), text).unwrap();
}

fn title(known: &Known) -> String {
    known.connector.source.spec()["connectionSpecification"]["title"].as_str().unwrap_or_default().to_owned()
}

fn names(registry: &Registry) -> Vec<String> {
    registry.list().iter().map(|known| format!("{}@{}", known.name, known.version)).collect()
}

#[test]
fn ready_made_connectors_are_there_without_a_folder() {
    let registry = Registry::new(None, Arc::new(Still::default())).unwrap();
    assert_eq!(registry.list().len(), builtin::ALL.len());
    assert!(registry.get("blueconic", "1").unwrap().is_ready_made);
    let refused = registry.get("blueconic", "2").unwrap_err();
    assert_eq!(refused.code, Code::NotFound);
    assert!(refused.message.contains("blueconic@2") && refused.message.contains("generic-rest"), "{refused}");
}

#[test]
fn a_folder_is_read_while_the_hub_runs_and_a_version_stays_what_it_was() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(Still::default());
    let registry = Registry::new(Some(home.path().to_owned()), Arc::<Still>::clone(&clock)).unwrap();
    assert!(registry.newest("shop").is_err());
    put(home.path(), "shop", &manifest("One"));
    clock.pass();
    assert_eq!(title(&registry.newest("shop").unwrap()), "One");
    for (name, said) in [("shop@9", "Nine"), ("shop@10", "Ten"), ("blueconic", "Own")] {
        put(home.path(), name, &manifest(said));
    }
    assert_eq!(title(&registry.newest("shop").unwrap()), "One", "not looked at again before its time");
    clock.pass();
    assert_eq!(title(&registry.newest("shop").unwrap()), "Ten");
    assert_eq!(title(&registry.get("shop", "1").unwrap()), "One");
    assert_eq!(title(&registry.get("blueconic", "1").unwrap()), "Own", "the operator's goes before the ready-made one");
    let shops: Vec<String> = names(&registry).into_iter().filter(|name| name.starts_with("shop@")).collect();
    assert_eq!(shops, ["shop@1", "shop@9", "shop@10"]);
    std::fs::remove_dir_all(home.path().join("blueconic")).unwrap();
    clock.pass();
    assert!(registry.get("blueconic", "1").unwrap().is_ready_made);
}

#[test]
fn what_no_longer_reads_leaves_the_last_that_did() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(Still::default());
    put(home.path(), "shop", &manifest("One"));
    put(home.path(), "odd", "version: [");
    let registry = Registry::new(Some(home.path().to_owned()), Arc::<Still>::clone(&clock)).unwrap();
    assert_eq!(registry.newest("odd").unwrap_err().code, Code::ConnectorInvalid);
    assert!(registry.newest("shop").unwrap().trouble.is_none());
    put(home.path(), "shop", "streams: 7");
    clock.pass();
    let known = registry.newest("shop").unwrap();
    assert_eq!(title(&known), "One");
    assert!(
        known.trouble.as_ref().is_some_and(|said| said.contains("connector shop does not read")),
        "{:?}",
        known.trouble
    );
    put(home.path(), "shop", &manifest("Two and more"));
    clock.pass();
    let known = registry.newest("shop").unwrap();
    assert_eq!((title(&known).as_str(), known.trouble.is_none()), ("Two and more", true));
}

#[test]
fn a_folder_that_is_not_there_stops_the_start() {
    let refused = Registry::new(Some("no-such-folder".into()), Arc::new(Still::default())).unwrap_err();
    assert_eq!(refused.code, Code::SettingsInvalid);
}

#[test]
fn files_outside_a_connectors_folder_are_not_its_own() {
    let home = tempfile::tempdir().unwrap();
    put(home.path(), "shop", "x");
    std::fs::write(home.path().join("secret"), "s").unwrap();
    std::os::unix::fs::symlink(home.path().join("secret"), home.path().join("shop/link")).unwrap();
    let folder = Folder::at(&home.path().join("shop"));
    assert_eq!(folder.load("manifest.yaml").as_deref(), Some("x"));
    assert_eq!([folder.load("../secret"), folder.load("link"), folder.load("/etc/hostname")], [None, None, None]);
}
