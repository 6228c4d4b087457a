//! Characters out of bytes: any encoding to UTF-8, any line end to `\n`, in chunks.
//!
//! Both readers stand on this, so neither has to know an encoding or the two ways to end a line. It must not look
//! at what the text says.

use encoding_rs::{CoderResult, Decoder};
use std::io::{BufRead, Read};

/// How much is read at a time, in bytes.
const CHUNK_BYTES: usize = 16 * 1024;

/// An encoding by its name. The names are those of the WHATWG Encoding Standard, in which `iso-8859-1` means
/// `windows-1252`; some that Python knows besides are understood too (`latin-1`, `utf_8`, `utf-8-sig`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding(&'static encoding_rs::Encoding);

/// No encoding has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no encoding known here; write a name such as utf-8, iso-8859-1, windows-1250 or shift_jis")]
pub struct UnknownEncoding(String);

impl Encoding {
    /// UTF-8.
    pub const UTF_8: Self = Self(encoding_rs::UTF_8);

    /// The encoding of a name.
    ///
    /// # Errors
    /// [`UnknownEncoding`] when there is none.
    pub fn parse(name: &str) -> Result<Self, UnknownEncoding> {
        let plain = name.trim().to_ascii_lowercase();
        let plain = plain.strip_suffix("-sig").unwrap_or(&plain);
        let spellings = [plain.to_owned(), plain.replace('_', "-"), plain.replace(['-', '_'], "")];
        let known = spellings.iter().find_map(|spelling| encoding_rs::Encoding::for_label(spelling.as_bytes()));
        known.map(Self).ok_or_else(|| UnknownEncoding(name.to_owned()))
    }

    /// Its name in the standard.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

impl Default for Encoding {
    fn default() -> Self {
        Self::UTF_8
    }
}

/// A reader's bytes as UTF-8 with `\n` at the ends of lines. A byte order mark is taken off, and overrules the
/// encoding. Bytes that are no character become U+FFFD.
pub(crate) struct Text<R> {
    input: R,
    decoder: Decoder,
    chunk: Vec<u8>,
    text: String,
    consumed: usize,
    is_after_cr: bool,
    is_over: bool,
    is_spoiled: bool,
}

impl<R: Read> Text<R> {
    pub(crate) fn new(input: R, encoding: Encoding) -> Self {
        Self {
            input,
            decoder: encoding.0.new_decoder(),
            chunk: vec![0; CHUNK_BYTES],
            text: String::new(),
            consumed: 0,
            is_after_cr: false,
            is_over: false,
            is_spoiled: false,
        }
    }

    /// Whether some bytes so far were no characters of the encoding.
    pub(crate) fn is_spoiled(&self) -> bool {
        self.is_spoiled
    }

    fn decode_chunk(&mut self) -> std::io::Result<()> {
        let read = self.input.read(&mut self.chunk)?;
        self.is_over = read == 0;
        let bytes = self.chunk.get(..read).unwrap_or_default();
        self.text.clear();
        self.consumed = 0;
        // The longest the text can become is reserved, so one call takes all of the chunk.
        self.text.reserve(self.decoder.max_utf8_buffer_length(read).unwrap_or(CHUNK_BYTES * 4));
        let (result, _, is_spoiled) = self.decoder.decode_to_string(bytes, &mut self.text, self.is_over);
        debug_assert!(matches!(result, CoderResult::InputEmpty), "a chunk's text fits what was reserved for it");
        self.is_spoiled |= is_spoiled;
        self.end_lines();
        Ok(())
    }

    /// `\r\n` and `\r` become `\n`; the two halves of `\r\n` may lie in different chunks.
    fn end_lines(&mut self) {
        let Some(last) = self.text.as_bytes().last() else { return };
        let is_after_cr = std::mem::replace(&mut self.is_after_cr, *last == b'\r');
        if is_after_cr && self.text.starts_with('\n') {
            self.consumed = 1;
        }
        if self.text.contains('\r') {
            let rest = self.text.get(self.consumed..).unwrap_or_default();
            self.text = rest.replace("\r\n", "\n").replace('\r', "\n");
            self.consumed = 0;
        }
    }
}

impl<R: Read> BufRead for Text<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        while self.consumed >= self.text.len() && !self.is_over {
            self.decode_chunk()?;
        }
        Ok(self.text.as_bytes().get(self.consumed..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.consumed += amount;
    }
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], encoding: &str) -> (String, bool) {
        let mut text = Text::new(bytes, Encoding::parse(encoding).unwrap());
        let mut out = String::new();
        text.read_to_string(&mut out).unwrap();
        (out, text.is_spoiled())
    }

    #[test]
    fn every_encoding_becomes_utf_8_and_every_line_end_a_newline() {
        assert_eq!(text(b"a\r\nb\rc\nd", "utf-8"), ("a\nb\nc\nd".to_owned(), false));
        assert_eq!(text(b"caf\xe9", "latin-1"), ("café".to_owned(), false));
        assert_eq!(text("\u{feff}é".as_bytes(), "utf_8"), ("é".to_owned(), false));
        assert_eq!(text(b"\xff\xfea\x00\r\x00\n\x00", "utf-8"), ("a\n".to_owned(), false));
        assert_eq!(text(b"caf\xe9!", "utf-8"), ("caf\u{fffd}!".to_owned(), true));
    }

    #[test]
    fn a_line_end_across_two_chunks_is_one() {
        let long = [vec![b'x'; CHUNK_BYTES - 1], b"\r\n\ry".to_vec()].concat();
        let (out, _) = text(&long, "utf-8");
        assert_eq!(&out[CHUNK_BYTES - 1..], "\n\ny");
    }

    #[test]
    fn an_unknown_encoding_is_named() {
        let error = Encoding::parse("klingon").unwrap_err().to_string();
        assert!(error.starts_with("`klingon` is no encoding known here"), "{error}");
    }
}
