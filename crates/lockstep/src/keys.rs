//! Keys of a data folder: the sealing key and the administrator's API key. Made once, readable by their owner
//! alone.

use crate::failure::Failure;
use crate::paths;
use crate::settings::Settings;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use lockstep_core::clock::IdSource;
use lockstep_core::error::Code;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A key, and the file that was made for it, if one was.
pub(crate) struct Found<T> {
    pub(crate) key: T,
    pub(crate) made: Option<PathBuf>,
}

/// The sealing key: from `LOCKSTEP_SECRET_KEY`, a named file, or the folder's own, which is made once.
pub(crate) fn sealing(settings: &Settings, ids: &dyn IdSource) -> Result<Found<[u8; 32]>, Failure> {
    if let Some(text) = &settings.secret_key {
        return Ok(Found { key: parse(text, "LOCKSTEP_SECRET_KEY")?, made: None });
    }
    let own = paths::sealing_key(&settings.data);
    let path = settings.secret_key_file.as_ref().unwrap_or(&own);
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Found { key: parse(&text, &path.display().to_string())?, made: None }),
        Err(error) if error.kind() == ErrorKind::NotFound && settings.secret_key_file.is_none() => {
            let key = ids.secret();
            write_once(path, &key)?;
            Ok(Found { key, made: Some(path.clone()) })
        }
        Err(error) => Err(Failure::new(
            Code::SealingKeyInvalid,
            format!("the sealing key {} cannot be read: {error}", path.display()),
        )),
    }
}

/// Whether there is a sealing key already.
pub(crate) fn is_given(settings: &Settings) -> bool {
    settings.secret_key.is_some() || settings.secret_key_file.is_some() || paths::sealing_key(&settings.data).exists()
}

/// That the keys given are keys, before a folder is made for them.
pub(crate) fn check(settings: &Settings) -> Result<(), Failure> {
    if let Some(text) = &settings.secret_key {
        parse(text, "LOCKSTEP_SECRET_KEY")?;
    }
    settings.admin_key.as_deref().map_or(Ok(()), long_enough)
}

fn long_enough(key: &str) -> Result<(), Failure> {
    const SHORTEST: usize = 16;
    if key.trim().len() < SHORTEST {
        let text = format!(
            "the administrator's key is {} characters long: take at least {SHORTEST}, as `openssl rand -hex 32` gives",
            key.trim().len()
        );
        return Err(Failure::new(Code::SettingsInvalid, text));
    }
    Ok(())
}

/// 32 bytes in base64 or hex.
pub(crate) fn parse(text: &str, place: &str) -> Result<[u8; 32], Failure> {
    let text = text.trim();
    let hex = || -> Option<Vec<u8>> {
        let digits: Vec<u8> =
            text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
        digits.chunks(2).map(|pair| Some(pair.first()? * 16 + pair.get(1)?)).collect()
    };
    let bytes =
        if text.len() == 64 { hex() } else { STANDARD.decode(text).ok().or_else(|| URL_SAFE_NO_PAD.decode(text).ok()) };
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        let text = format!(
            "{place} holds no sealing key: it is 32 bytes in base64 or hex, as `openssl rand -base64 32` gives"
        );
        Failure::new(Code::SealingKeyInvalid, text)
    })
}

/// The administrator's API key: from `LOCKSTEP_ADMIN_KEY`, or the folder's own, which is made once.
pub(crate) fn admin(settings: &Settings, ids: &dyn IdSource) -> Result<Found<String>, Failure> {
    let path = paths::admin_key(&settings.data);
    let (key, made) = match (&settings.admin_key, std::fs::read_to_string(&path)) {
        (Some(key), _) => (key.trim().to_owned(), None),
        (None, Ok(text)) => (text.trim().to_owned(), None),
        (None, Err(_)) => {
            let key = format!("lsa_{}", URL_SAFE_NO_PAD.encode(ids.secret()));
            write_text_once(&path, &key)?;
            (key, Some(path))
        }
    };
    long_enough(&key)?;
    Ok(Found { key, made })
}

/// The sealing key of a file, if the file is there.
pub(crate) fn read(path: &Path) -> Result<Option<[u8; 32]>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, &path.display().to_string()).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let text = format!("the sealing key {} cannot be read: {error}", path.display());
            Err(Failure::new(Code::SealingKeyInvalid, text))
        }
    }
}

/// Writes a sealing key to a file that is not there yet, for its owner alone.
pub(crate) fn write_once(path: &Path, key: &[u8; 32]) -> Result<(), Failure> {
    write_text_once(path, &STANDARD.encode(key))
}

fn write_text_once(path: &Path, text: &str) -> Result<(), Failure> {
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{text}")?;
        file.sync_all()
    };
    write().map_err(|error| {
        Failure::new(Code::DataUnusable, format!("the key file {} cannot be written: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_base64_or_hex_and_nothing_else() {
        let key = [0xab; 32];
        assert_eq!(parse(&STANDARD.encode(key), "x").unwrap(), key);
        assert_eq!(parse(&format!("{}\n", "ab".repeat(32)), "x").unwrap(), key);
        for text in ["", "short", &"zz".repeat(32), &STANDARD.encode([1; 31])] {
            assert!(parse(text, "x").unwrap_err().to_string().contains("sealing_key_invalid"), "{text}");
        }
    }
}
