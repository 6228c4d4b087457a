//! The ready-made connectors, carried in the binary.

/// The files of one.
macro_rules! connector {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../../../connectors/", $name, "/manifest.yaml")),
            include_str!(concat!("../../../../connectors/", $name, "/lockstep.yaml")),
        )
    };
}

/// Name, manifest and `lockstep.yaml` of each.
pub const ALL: [(&str, &str, &str); 8] = [
    connector!("activecampaign"),
    connector!("blueconic"),
    connector!("copernica-v3"),
    connector!("copernica-v4"),
    connector!("directus"),
    connector!("generic-rest"),
    connector!("platform-x"),
    connector!("tryton"),
];
