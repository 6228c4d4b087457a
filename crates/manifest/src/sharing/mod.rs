//! `lockstep.yaml`: what stands beside a manifest and says what its format cannot.

use std::collections::BTreeMap;

use lockstep_core::mapping::Mapping;

use crate::problem::Problem;

/// What a connector says beside its manifest.
#[derive(Debug, Clone)]
pub struct Sharing {
    /// The slug under which the ids of its objects stand; the folder's name where it says none.
    pub provider: Option<String>,
    /// Remote objects by their name.
    pub types: BTreeMap<String, Remote>,
}

/// A remote object.
#[derive(Debug, Clone)]
pub struct Remote {
    /// The hub's type.
    pub ty: String,
    /// The manifest's stream that lists it.
    pub stream: Option<String>,
    /// Whether an object says all its fields.
    pub is_complete: bool,
    /// What a share has to say of it, by name.
    pub options: BTreeMap<String, OptionSaid>,
    /// Groups of hub fields by which one is recognised.
    pub matching: Vec<Vec<String>>,
    /// Fields there and here.
    pub mapping: Mapping,
}

/// Something that a share has to say of an object.
#[derive(Debug, Clone)]
pub struct OptionSaid {
    /// What people call it.
    pub title: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it must be said.
    pub is_required: bool,
}

impl Sharing {
    /// Reads the file.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with line and path.
    pub fn parse(_text: &str, _manifest: &str) -> Result<Self, Vec<Problem>> {
        Err(vec![Problem::at(1, "lockstep.yaml is not read yet")])
    }
}
