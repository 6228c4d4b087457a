//! What is wrong with a manifest, so that its author can mend it.

use std::fmt;

/// One thing that is wrong, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// Line in the file, from 1.
    pub line: usize,
    /// Where in the resolved manifest, such as `streams[2].retriever.paginator`; empty for the file as a whole.
    pub path: String,
    /// One sentence with the way out, without the place.
    pub message: String,
    /// Whether it can be mended in the manifest.
    pub kind: ProblemKind,
}

/// Whether a problem can be mended in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProblemKind {
    /// It is written wrongly.
    Wrong,
    /// It needs this Python class.
    Python(String),
    /// It belongs to the format, and Lockstep does not run it.
    NotRun,
}

impl Problem {
    pub(crate) fn at(line: usize, message: impl Into<String>) -> Self {
        Self { line, path: String::new(), message: message.into(), kind: ProblemKind::Wrong }
    }

    /// Whether the manifest may be right, and it is we who cannot run this part of it.
    #[must_use]
    pub fn is_beyond_us(&self) -> bool {
        self.kind != ProblemKind::Wrong
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{} (line {})", self.message, self.line)
    }
}
