//! What can go wrong with an expression, said so that its author can mend it.
//! It must not quote field values: an error may be shown to someone who may not see them.

use minijinja::ErrorKind;

/// Which stage refused the expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExprErrorKind {
    /// It is not written correctly.
    Parse,
    /// It is written correctly but made no sense with these values.
    Eval,
    /// A template of a manifest brought kinds of values together that do not go together: Python's `TypeError`.
    Mismatch,
    /// It needed more than [`crate::FUEL`] steps, a template more than [`crate::TEMPLATE_FUEL`], one of a manifest more
    /// than [`crate::MANIFEST_FUEL`].
    Fuel,
    /// It is longer than [`crate::SOURCE_BYTES_MAX`], [`crate::TEMPLATE_BYTES_MAX`] or
    /// [`crate::MANIFEST_TEMPLATE_BYTES_MAX`].
    TooLong,
}

/// Why an expression was refused or failed: one sentence and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", line.map(|n| format!(" (line {n})")).unwrap_or_default())]
pub struct ExprError {
    /// The sentence, naming the part of the expression, without the line.
    pub message: String,
    /// Line in the source, from 1, where that is known.
    pub line: Option<usize>,
    /// Which stage refused it.
    pub kind: ExprErrorKind,
}

impl ExprError {
    pub(crate) fn parse(message: impl Into<String>, line: usize) -> Self {
        Self { message: message.into(), line: Some(line), kind: ExprErrorKind::Parse }
    }

    pub(crate) fn eval(message: impl Into<String>) -> Self {
        Self { message: message.into(), line: None, kind: ExprErrorKind::Eval }
    }

    pub(crate) fn too_long(what: &str, bytes: usize, bytes_max: usize) -> Self {
        Self {
            message: format!(
                "the {what} is {bytes} bytes long and at most {bytes_max} are allowed; \
                 split it over several mappings or conditions"
            ),
            line: None,
            kind: ExprErrorKind::TooLong,
        }
    }

    /// Translates an error of the engine for a template; its author sees the line, not the source again.
    pub(crate) fn from_template(error: &minijinja::Error) -> Self {
        let what = error.detail().map_or_else(|| error.kind().to_string(), ToOwned::to_owned);
        let (kind, message) = match error.kind() {
            ErrorKind::OutOfFuel => {
                let text = format!("it takes more than {} steps; loop over less", crate::TEMPLATE_FUEL);
                (ExprErrorKind::Fuel, text)
            }
            ErrorKind::SyntaxError => (ExprErrorKind::Parse, format!("it cannot be read: {what}")),
            _ => (
                ExprErrorKind::Eval,
                format!("it does not work out: {what}; guard missing or odd values, such as `field|default(0)`"),
            ),
        };
        Self { message, line: error.line(), kind }
    }

    /// Translates an error of the engine for a template of a manifest.
    pub(crate) fn from_interpolation(error: &minijinja::Error) -> Self {
        let what = error.detail().map_or_else(|| error.kind().to_string(), ToOwned::to_owned);
        let (kind, message) = match error.kind() {
            ErrorKind::OutOfFuel => {
                let text = format!("it takes more than {} steps; loop over less", crate::MANIFEST_FUEL);
                (ExprErrorKind::Fuel, text)
            }
            ErrorKind::SyntaxError => (ExprErrorKind::Parse, format!("it cannot be read: {what}")),
            ErrorKind::InvalidOperation => (ExprErrorKind::Mismatch, format!("it does not work out: {what}")),
            _ => (ExprErrorKind::Eval, format!("it does not work out: {what}")),
        };
        Self { message, line: None, kind }
    }

    /// Translates an error of the engine for the expression `source`.
    pub(crate) fn from_engine(source: &str, error: &minijinja::Error) -> Self {
        let what = error.detail().map_or_else(|| error.kind().to_string(), ToOwned::to_owned);
        let shown = shorten(source);
        let (kind, message) = match error.kind() {
            ErrorKind::OutOfFuel => {
                (ExprErrorKind::Fuel, format!("`{shown}` takes more than {} steps; make it shorter", crate::FUEL))
            }
            ErrorKind::SyntaxError => (
                ExprErrorKind::Parse,
                format!("`{shown}` cannot be read: {what}; write it as a Jinja expression, such as `country == 'NL'`"),
            ),
            ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction => (
                ExprErrorKind::Eval,
                format!(
                    "`{shown}` uses something that does not exist here: {what}; use one of Jinja's own filters and tests"
                ),
            ),
            _ => (
                ExprErrorKind::Eval,
                format!("`{shown}` does not work out: {what}; guard missing or odd values, such as `field|default(0)`"),
            ),
        };
        Self { message, line: error.line(), kind }
    }
}

/// The beginning of a source, for a message.
pub(crate) fn shorten(source: &str) -> String {
    const SHOWN_CHARS: usize = 60;
    let mut shown: String = source.chars().take(SHOWN_CHARS).collect();
    if shown.len() < source.len() {
        shown.push('…');
    }
    shown
}
