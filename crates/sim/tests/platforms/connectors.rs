//! The ready-made connectors: their manifests are sound and nothing in them is beyond us.

use lockstep_manifest::{Manifest, Sharing};
use std::fs;
use std::path::Path;

/// Name and manifest of each connector.
fn manifests() -> Vec<(String, Manifest)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connectors");
    let folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut found: Vec<(String, Manifest)> = folders
        .map(|folder| {
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(folder.join("README.md").is_file(), "{name} has no README.md");
            let text = fs::read_to_string(folder.join("manifest.yaml")).unwrap();
            let manifest = Manifest::parse(&text).unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
            (name, manifest)
        })
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

#[test]
fn every_connector_says_how_it_is_written_and_its_own_matching_can_be_looked_for() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connectors");
    for (name, _) in manifests() {
        let file = |file: &str| fs::read_to_string(folder.join(&name).join(file)).unwrap();
        let sharing = Sharing::parse(&file("lockstep.yaml"), &file("manifest.yaml"));
        let sharing = sharing.unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
        for (object, remote) in &sharing.types {
            let only = &remote.find.as_ref().unwrap().only.0;
            for field in remote.matching.iter().flatten() {
                let path = remote.mapping.entries[field].path.as_ref().unwrap().to_string();
                assert!(only.is_empty() || only.contains(&path), "{name}: {object} is not looked up by {path}");
            }
        }
    }
    let lines = fs::read_to_string(folder.join("platform-x/lockstep.yaml")).unwrap().lines().count();
    assert!(lines < 60, "platform X takes {lines} lines");
}

#[test]
fn every_connector_is_sound_and_runs_without_python() {
    let manifests = manifests();
    let names: Vec<&str> = manifests.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "activecampaign",
        "blueconic",
        "copernica-v3",
        "copernica-v4",
        "directus",
        "generic-rest",
        "platform-x",
        "tryton",
    ];
    assert_eq!(names, expected);
    for (name, manifest) in &manifests {
        for entry in &manifest.streams {
            assert!(entry.stream.is_ok(), "{name}, {}: {}", entry.name, entry.stream.as_ref().unwrap_err());
        }
        assert!(manifest.spec.is_some() && manifest.check.is_some(), "{name}");
    }
}
