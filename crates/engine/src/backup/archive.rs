//! The archive: a tar in one zstd frame; first `manifest.json`, then the files that it names, in its order.
//!
//! Any `tar --zstd` unpacks it, and whoever reads it here checks each file against its digest as it goes by. What is
//! not in the manifest, or twice, or not there, makes the archive one that is not used.

use aws_lc_rs::digest::{Context, SHA256};
use lockstep_core::ids::BusinessId;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Write};

/// The archive's own format number.
pub const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
/// A manifest is small: a line for each business.
const MANIFEST_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Quick, and about a quarter of the size for records as they are stored.
const LEVEL: i32 = 3;

/// What is in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The archive's format.
    pub format: u32,
    /// The version that made it.
    pub lockstep: String,
    /// When, RFC 3339.
    pub created_at: String,
    /// What kind of store it is of.
    pub store: StoreEntry,
    /// Its files, in order.
    pub files: Vec<FileEntry>,
    /// Where each business's log stood.
    pub businesses: Vec<Head>,
}

/// What kind of store an archive is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreEntry {
    /// Its engine.
    pub engine: String,
    /// The format of its file.
    pub format: i64,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileEntry {
    /// Its name in the archive and in a data folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hex.
    pub sha256: String,
}

/// Where one business's log stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// The business.
    pub id: BusinessId,
    /// The epoch of its log.
    pub epoch: u32,
    /// Its newest seq.
    pub seq: u64,
}

/// Why an archive is not used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read, or breaks off.
    #[error("it cannot be read to its end: {0}")]
    Broken(#[from] io::Error),
    /// It is no archive of ours, or not what its manifest says.
    #[error("{0}")]
    Wrong(String),
}

fn wrong(text: impl Into<String>) -> ArchiveError {
    ArchiveError::Wrong(text.into())
}

/// The length and SHA-256 of what is read.
///
/// # Errors
/// What reading gives.
pub fn digest(input: &mut impl Read) -> io::Result<(u64, String)> {
    let mut hashing = Hashing::new(input);
    io::copy(&mut hashing, &mut io::sink())?;
    Ok(hashing.finish())
}

/// Writes an archive: the manifest, then its files from where they stand.
///
/// # Errors
/// What reading or writing gives.
pub fn write(out: impl Write, manifest: &Manifest, files: Vec<File>) -> io::Result<()> {
    let mut tar = tar::Builder::new(zstd::Encoder::new(out, LEVEL)?);
    let json = serde_json::to_vec_pretty(manifest)?;
    tar.append_data(&mut header(json.len() as u64), MANIFEST, json.as_slice())?;
    for (entry, file) in manifest.files.iter().zip(files) {
        tar.append_data(&mut header(entry.bytes), &entry.name, file)?;
    }
    tar.into_inner()?.finish()?.flush()
}

fn header(bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes);
    header.set_mode(0o600);
    header
}

/// Reads an archive to its end, giving each file to `take` as it comes, and checks all that the manifest says.
///
/// # Errors
/// [`ArchiveError`]; what `take` was given until then must not be used.
pub fn read(
    input: impl Read,
    mut take: impl FnMut(&Manifest, &FileEntry, &mut dyn Read) -> io::Result<()>,
) -> Result<Manifest, ArchiveError> {
    let mut tar = tar::Archive::new(zstd::Decoder::new(input)?);
    let mut entries = tar.entries()?;
    let first = entries.next().ok_or_else(|| wrong("it is empty"))??;
    if first.path()?.as_os_str() != MANIFEST {
        return Err(wrong(format!("its first file is not {MANIFEST}: it is no backup of Lockstep's")));
    }
    let mut json = Vec::new();
    first.take(MANIFEST_BYTES_MAX).read_to_end(&mut json)?;
    let manifest: Manifest =
        serde_json::from_slice(&json).map_err(|error| wrong(format!("its manifest cannot be read: {error}")))?;
    if manifest.format > FORMAT {
        let format = manifest.format;
        return Err(wrong(format!("it has format {format}, and this version reads up to {FORMAT}: take a later one")));
    }
    let mut expected = manifest.files.iter();
    for entry in entries {
        let mut entry = entry?;
        let name = entry.path()?.display().to_string();
        let file = expected.next().filter(|file| file.name == name);
        let file = file.ok_or_else(|| wrong(format!("it holds {name}, which its manifest does not name there")))?;
        let mut hashing = Hashing::new(&mut entry);
        take(&manifest, file, &mut hashing)?;
        io::copy(&mut hashing, &mut io::sink())?;
        let (bytes, sha256) = hashing.finish();
        if bytes != file.bytes || sha256 != file.sha256 {
            return Err(wrong(format!("{name} is not as its manifest says: {bytes} bytes with SHA-256 {sha256}")));
        }
    }
    match expected.next() {
        Some(missing) => Err(wrong(format!("it ends before {}", missing.name))),
        None => Ok(manifest),
    }
}

/// Counts and digests what is read through it.
struct Hashing<R> {
    inner: R,
    context: Context,
    bytes: u64,
}

impl<R: Read> Hashing<R> {
    fn new(inner: R) -> Self {
        Self { inner, context: Context::new(&SHA256), bytes: 0 }
    }

    fn finish(self) -> (u64, String) {
        let digest = self.context.finish();
        (self.bytes, digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.context.update(buffer.get(..count).unwrap_or_default());
        self.bytes += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, SeekFrom};

    fn file(text: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file
    }

    fn manifest(text: &[u8]) -> Manifest {
        let (bytes, sha256) = digest(&mut &*text).unwrap();
        Manifest {
            format: FORMAT,
            lockstep: "0".to_owned(),
            created_at: "2026-01-01T00:00:00Z".to_owned(),
            store: StoreEntry { engine: "sqlite".to_owned(), format: 1 },
            files: vec![FileEntry { name: "lockstep.db".to_owned(), bytes, sha256 }],
            businesses: vec![Head { id: BusinessId::parse("b").unwrap(), epoch: 1, seq: 9 }],
        }
    }

    fn archive(manifest: &Manifest, files: Vec<File>) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, manifest, files).unwrap();
        bytes
    }

    fn reading(bytes: &[u8]) -> Result<(Manifest, Vec<u8>), ArchiveError> {
        let mut taken = Vec::new();
        let manifest = read(bytes, |_, _, from| from.read_to_end(&mut taken).map(drop))?;
        Ok((manifest, taken))
    }

    #[test]
    fn an_archive_reads_back_whole() {
        let text = b"records ".repeat(100_000);
        let manifest = manifest(&text);
        let bytes = archive(&manifest, vec![file(&text)]);
        assert!(bytes.len() < text.len() / 10, "compressed to {}", bytes.len());
        let (read, taken) = reading(&bytes).unwrap();
        assert_eq!(read, manifest);
        assert!(taken == text);
        // A file that nobody takes is checked all the same.
        assert_eq!(super::read(bytes.as_slice(), |_, _, _| Ok(())).unwrap(), manifest);
    }

    #[test]
    fn what_is_not_as_the_manifest_says_is_refused() {
        let manifest = manifest(b"records");
        let altered = archive(&manifest, vec![file(b"recordz")]);
        assert!(reading(&altered).unwrap_err().to_string().contains("SHA-256"));
        assert!(reading(&archive(&manifest, Vec::new())).unwrap_err().to_string().contains("ends before"));
        let later = Manifest { format: FORMAT + 1, ..manifest.clone() };
        assert!(reading(&archive(&later, vec![file(b"records")])).unwrap_err().to_string().contains("later"));
        let whole = archive(&manifest, vec![file(b"records")]);
        for cut in 0..whole.len() {
            assert!(reading(&whole[..cut]).is_err(), "cut at {cut} of {}", whole.len());
        }
        assert!(reading(b"no archive").is_err());
    }
}
