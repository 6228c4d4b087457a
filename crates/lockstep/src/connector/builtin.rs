//! The ready-made connectors, carried in the binary.

use crate::failure::Failure;
use crate::printer::say;

/// By name.
const ALL: [(&str, &str); 6] = [
    ("activecampaign", include_str!("../../../../connectors/activecampaign/manifest.yaml")),
    ("blueconic", include_str!("../../../../connectors/blueconic/manifest.yaml")),
    ("copernica-v3", include_str!("../../../../connectors/copernica-v3/manifest.yaml")),
    ("copernica-v4", include_str!("../../../../connectors/copernica-v4/manifest.yaml")),
    ("generic-rest", include_str!("../../../../connectors/generic-rest/manifest.yaml")),
    ("platform-x", include_str!("../../../../connectors/platform-x/manifest.yaml")),
];

/// The manifest of a ready-made connector.
pub(crate) fn load(name: &str) -> Option<&'static str> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, manifest)| *manifest)
}

/// Their names.
pub(crate) fn names() -> Vec<&'static str> {
    ALL.iter().map(|(name, _)| *name).collect()
}

/// Prints their names.
pub(crate) fn list() -> Result<(), Failure> {
    for name in names() {
        say(name);
    }
    Ok(())
}
