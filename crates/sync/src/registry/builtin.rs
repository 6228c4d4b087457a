//! The ready-made connectors, carried in the binary.

/// Name and manifest of each.
pub const ALL: [(&str, &str); 5] = [
    ("activecampaign", include_str!("../../../../connectors/activecampaign/manifest.yaml")),
    ("blueconic", include_str!("../../../../connectors/blueconic/manifest.yaml")),
    ("copernica-v3", include_str!("../../../../connectors/copernica-v3/manifest.yaml")),
    ("copernica-v4", include_str!("../../../../connectors/copernica-v4/manifest.yaml")),
    ("generic-rest", include_str!("../../../../connectors/generic-rest/manifest.yaml")),
];
