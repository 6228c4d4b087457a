//! The files beside a manifest, as a port: a folder of the operator's, what the binary carries, or what a test says.

/// Gives the files of a connector.
pub trait Files: Send + Sync {
    /// The text of a file, by its path within the connector's folder; `None` where there is none.
    fn load(&self, path: &str) -> Option<String>;
}

/// No files at all.
impl Files for () {
    fn load(&self, _path: &str) -> Option<String> {
        None
    }
}
