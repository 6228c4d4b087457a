//! The ready-made connectors, carried in the binary.

/// Name, manifest and, where there is one, `lockstep.yaml` of each.
pub const ALL: [(&str, &str, Option<&str>); 5] = [
    ("activecampaign", include_str!("../../../../connectors/activecampaign/manifest.yaml"), None),
    ("blueconic", include_str!("../../../../connectors/blueconic/manifest.yaml"), None),
    ("copernica-v3", include_str!("../../../../connectors/copernica-v3/manifest.yaml"), None),
    ("copernica-v4", include_str!("../../../../connectors/copernica-v4/manifest.yaml"), None),
    ("generic-rest", include_str!("../../../../connectors/generic-rest/manifest.yaml"), None),
];
