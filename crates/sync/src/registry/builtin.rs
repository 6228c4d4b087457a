//! The ready-made connectors, carried in the binary.

/// The folder of one, which has a `lockstep.yaml` or has none.
macro_rules! connector {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../../../connectors/", $name, "/manifest.yaml")),
            Some(include_str!(concat!("../../../../connectors/", $name, "/lockstep.yaml"))),
        )
    };
}

/// Name, manifest and, where there is one, `lockstep.yaml` of each.
pub const ALL: [(&str, &str, Option<&str>); 6] = [
    connector!("activecampaign"),
    connector!("blueconic"),
    connector!("copernica-v3"),
    connector!("copernica-v4"),
    connector!("generic-rest"),
    connector!("platform-x"),
];
