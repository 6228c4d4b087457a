//! From an answer's body to documents: JSON, lines, rows, XML, and what is packed in gzip or zip.
//!
//! A JSON list is its elements, as in the format, and no body at all an empty document. A body that cannot be read is a
//! failure, so that nothing after it is taken for done; a broken line or row is a problem of its own, and the rest is
//! read.

use std::io::{BufRead, BufReader, Cursor, Read};

use bytes::{Buf as _, Bytes};
use lockstep_files::{ROW_BYTES_MAX, csv};
use lockstep_manifest::{CsvDecoder, Decoder};
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::reply::{GZIP_BEGIN, RESPONSE_BYTES_MAX, Reply, gunzip};

/// Most files read of one archive.
const FILES_MAX: usize = 10_000;
/// Rows worked on at a time.
const BATCH_ROWS: usize = 1_000;
/// Most broken rows told of in one batch.
const BROKEN_SHOWN: usize = 10;

/// What an answer holds.
pub(crate) enum Body {
    /// Documents, all of them at once.
    Whole(Documents),
    /// Rows, read as they are asked for.
    Rows(Rows),
}

/// Documents, and what of them could not be read.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    pub(crate) all: Vec<Value>,
    pub(crate) problems: Vec<String>,
}

/// Rows of a body that is held as it came, compressed where it came so.
pub(crate) struct Rows {
    inner: Box<dyn Iterator<Item = Result<Value, Broken>> + Send>,
}

/// Why a row is not there.
enum Broken {
    /// This one alone.
    Row(String),
    /// Everything from here on.
    Rest(String),
}

impl Rows {
    /// The next rows; none after the last.
    ///
    /// # Errors
    /// The body breaks off, or its compression is broken.
    pub(crate) fn batch(&mut self) -> Result<Option<Documents>, Failure> {
        let mut batch = Documents::default();
        for row in self.inner.by_ref() {
            match row {
                Ok(value) => batch.all.push(value),
                Err(Broken::Row(why)) if batch.problems.len() < BROKEN_SHOWN => batch.problems.push(why),
                Err(Broken::Row(_more)) => {}
                Err(Broken::Rest(why)) => return Err(Failure::transient(format!("a body breaks off: {why}"))),
            }
            if batch.all.len() >= BATCH_ROWS {
                break;
            }
        }
        Ok((!batch.all.is_empty() || !batch.problems.is_empty()).then_some(batch))
    }
}

/// Whether a page of this decoder can be looked into by paging; others are seen as empty.
pub(crate) fn is_seen_by_paging(decoder: Option<&Decoder>) -> bool {
    matches!(decoder, None | Some(Decoder::Json(_) | Decoder::Xml(_)))
}

/// What an answer holds.
pub(crate) fn decode(decoder: Option<&Decoder>, reply: &mut Reply) -> Result<Body, Failure> {
    let Some(decoder) = decoder.filter(|decoder| !matches!(decoder, Decoder::Json(_))) else {
        let mut all = match reply.take_json() {
            Some(Value::Array(items)) => items,
            Some(body) => vec![body],
            None if reply.body.trim_ascii().is_empty() => Vec::new(),
            None => {
                let said = reply.complaint().map(|text| format!(": {text}")).unwrap_or_default();
                let message = format!("the answer is no JSON{said}; if it is not meant to be, name its `decoder`");
                return Err(Failure::system(message).while_at(reply.shown_url()));
            }
        };
        if all.is_empty() {
            all.push(Value::Object(Map::new()));
        }
        return Ok(Body::Whole(Documents { all, problems: Vec::new() }));
    };
    let body = reply.body.clone();
    match rows(decoder, Box::new(body.clone().reader())) {
        Some(rows) => rows.map(Body::Rows),
        None => whole(decoder, &body, &mut RESPONSE_BYTES_MAX.clone()).map(Body::Whole),
    }
    .map_err(|failure| failure.while_at(reply.shown_url()))
}

type Bytewise = Box<dyn Read + Send>;

/// The rows of a body; `None` where it is no rows.
fn rows(decoder: &Decoder, reader: Bytewise) -> Option<Result<Rows, Failure>> {
    match decoder {
        Decoder::Jsonl(_) => {
            Some(Ok(lines(reader, |line| serde_json::from_slice(line).map_err(|error| format!("is no JSON: {error}")))))
        }
        Decoder::Iterable(_) => Some(Ok(lines(reader, |line| {
            let text = String::from_utf8_lossy(line).trim_end_matches(['\r', '\n']).to_owned();
            Ok(Value::Object(Map::from_iter([("record".to_owned(), text.into())])))
        }))),
        Decoder::Csv(said) => Some(table(said, reader)),
        Decoder::Gzip(inner) => {
            let mut reader = BufReader::new(reader);
            let is_packed = reader.fill_buf().is_ok_and(|begin| begin.starts_with(&GZIP_BEGIN));
            let inner_reader: Bytewise =
                if is_packed { Box::new(flate2::bufread::MultiGzDecoder::new(reader)) } else { Box::new(reader) };
            rows(&inner.decoder, inner_reader)
        }
        Decoder::Json(_) | Decoder::Xml(_) | Decoder::Zip(_) => None,
    }
}

/// A value a line; empty lines are none.
fn lines(reader: Bytewise, mut parse: impl FnMut(&[u8]) -> Result<Value, String> + Send + 'static) -> Rows {
    let mut reader = BufReader::new(reader);
    let mut number = 0_u64;
    let mut is_over = false;
    let inner = std::iter::from_fn(move || {
        loop {
            if is_over {
                return None;
            }
            number += 1;
            let mut line = Vec::new();
            let most = u64::try_from(ROW_BYTES_MAX).unwrap_or(u64::MAX);
            if let Err(error) = reader.by_ref().take(most).read_until(b'\n', &mut line) {
                is_over = true;
                return Some(Err(Broken::Rest(error.to_string())));
            }
            if line.is_empty() {
                return None;
            }
            if line.len() >= ROW_BYTES_MAX && line.last() != Some(&b'\n') {
                // What is left of a line without end is passed over.
                let skipped = reader.skip_until(b'\n');
                is_over = skipped.is_err();
                return Some(Err(Broken::Row(format!("line {number} is longer than {ROW_BYTES_MAX} bytes"))));
            }
            if !line.trim_ascii().is_empty() {
                return Some(parse(&line).map_err(|why| Broken::Row(format!("line {number} {why}"))));
            }
        }
    });
    Rows { inner: Box::new(inner) }
}

fn table(said: &CsvDecoder, reader: Bytewise) -> Result<Rows, Failure> {
    let mut options = csv::Options::default();
    if let Some(name) = &said.encoding {
        options.encoding = lockstep_files::Encoding::parse(name).map_err(|error| Failure::system(error.to_string()))?;
    }
    if let Some(delimiter) = &said.delimiter {
        options.delimiter = one_byte(delimiter)?;
    }
    let none = said.set_values_to_none.clone();
    let inner = csv::rows(reader, &options).map(move |row| match row {
        Ok(mut row) => {
            for value in row.values_mut() {
                if value.as_str().is_some_and(|text| none.iter().any(|one| one == text)) {
                    *value = Value::Null;
                }
            }
            Ok(Value::Object(row))
        }
        Err(error @ csv::RowError::Broken { .. }) => Err(Broken::Rest(error.to_string())),
        Err(error) => Err(Broken::Row(error.to_string())),
    });
    Ok(Rows { inner: Box::new(inner) })
}

/// All documents of a body that is no rows, or is within an archive. `left` are the bytes to which what is packed in it
/// may unfold.
fn whole(decoder: &Decoder, body: &Bytes, left: &mut usize) -> Result<Documents, Failure> {
    let mut documents = Documents::default();
    match decoder {
        Decoder::Json(_) => match serde_json::from_slice(body) {
            Ok(Value::Array(items)) => documents.all = items,
            Ok(body) => documents.all.push(body),
            Err(error) => return Err(Failure::system(format!("a body is no JSON: {error}"))),
        },
        Decoder::Xml(_) if body.trim_ascii().is_empty() => documents.all.push(Value::Object(Map::new())),
        Decoder::Xml(_) => match lockstep_files::xml::parse(body) {
            Ok(body) => documents.all.push(body),
            Err(error) => return Err(Failure::system(format!("a body is no XML: {error}"))),
        },
        Decoder::Gzip(inner) if body.starts_with(&GZIP_BEGIN) => {
            let unpacked = gunzip(body, *left).ok_or_else(|| {
                Failure::system(format!("a body is broken gzip, or over {RESPONSE_BYTES_MAX} bytes when unpacked"))
            })?;
            *left -= unpacked.len();
            return whole(&inner.decoder, &unpacked, left);
        }
        Decoder::Gzip(inner) => return whole(&inner.decoder, body, left),
        Decoder::Zip(inner) => archive(&inner.decoder, body, left, &mut documents)?,
        Decoder::Jsonl(_) | Decoder::Iterable(_) | Decoder::Csv(_) => {
            if let Some(found) = rows(decoder, Box::new(body.clone().reader())) {
                let mut found = found?;
                while let Some(batch) = found.batch()? {
                    documents.all.extend(batch.all);
                    documents.problems.extend(batch.problems);
                }
            }
        }
    }
    Ok(documents)
}

/// A delimiter, which may be written as `\t`.
fn one_byte(delimiter: &str) -> Result<u8, Failure> {
    match delimiter {
        "\\t" => Ok(b'\t'),
        _ => match delimiter.as_bytes() {
            [one] => Ok(*one),
            _ => Err(Failure::system(format!("the delimiter {delimiter:?} is not one ASCII character"))),
        },
    }
}

fn archive(inner: &Decoder, body: &[u8], left: &mut usize, documents: &mut Documents) -> Result<(), Failure> {
    let broken = |error: zip::result::ZipError| Failure::system(format!("a body is a broken archive: {error}"));
    let mut archive = zip::ZipArchive::new(Cursor::new(body)).map_err(broken)?;
    if archive.len() > FILES_MAX {
        let message = format!("an archive holds {} files, and at most {FILES_MAX} are read", archive.len());
        return Err(Failure::system(message));
    }
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(broken)?;
        if file.is_dir() {
            continue;
        }
        let name = file.name().map_or_else(|_odd| format!("file {index}"), std::borrow::Cow::into_owned);
        let mut bytes = Vec::new();
        let read = file.take(u64::try_from(*left).unwrap_or(u64::MAX).saturating_add(1)).read_to_end(&mut bytes);
        let read = read.map_err(|error| Failure::system(format!("{name} of an archive does not unpack: {error}")))?;
        *left = left.checked_sub(read).ok_or_else(|| {
            Failure::system(format!("an archive holds over {RESPONSE_BYTES_MAX} bytes; ask for less at a time"))
        })?;
        let found = whole(inner, &Bytes::from(bytes), left).map_err(|failure| failure.while_at(&name))?;
        documents.all.extend(found.all);
        documents.problems.extend(found.problems.into_iter().map(|problem| format!("{name}: {problem}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_manifest::{At, Node, Read as _};
    use serde_json::json;
    use std::io::Write as _;

    #[track_caller]
    fn check(decoder: &Value, body: &[u8], expected: &Value, problems: usize) {
        let node = Node::from_json(decoder, 1);
        let decoder = Decoder::read(&At::root(&node, "")).unwrap();
        let body = Bytes::copy_from_slice(body);
        let found = match rows(&decoder, Box::new(body.clone().reader())) {
            Some(rows) => rows.unwrap().batch().unwrap().unwrap_or_default(),
            None => whole(&decoder, &body, &mut RESPONSE_BYTES_MAX.clone()).unwrap(),
        };
        assert_eq!(Value::Array(found.all), *expected);
        assert_eq!(found.problems.len(), problems, "{:?}", found.problems);
    }

    #[test]
    fn bodies_become_documents() {
        check(&json!({"type": "JsonlDecoder"}), b"{\"a\":1}\n\n{oops\r\n{\"a\":2}", &json!([{"a": 1}, {"a": 2}]), 1);
        check(&json!({"type": "IterableDecoder"}), b"x\ny", &json!([{"record": "x"}, {"record": "y"}]), 0);
        let csv = json!({"type": "CsvDecoder", "delimiter": "\\t", "set_values_to_none": ["-"]});
        check(&csv, b"a\tb\n1\t-\n", &json!([{"a": "1", "b": null}]), 0);
        check(
            &json!({"type": "XmlDecoder"}),
            b"<r><i k='1'>x</i></r>",
            &json!([{"r": {"i": {"@k": "1", "#text": "x"}}}]),
            0,
        );
        check(&json!({"type": "XmlDecoder"}), b" ", &json!([{}]), 0);
    }

    #[test]
    fn a_body_that_is_broken_or_unfolds_too_far_is_a_failure() {
        let failure = |decoder: &Value, body: Vec<u8>, mut left: usize| {
            let node = Node::from_json(decoder, 1);
            let decoder = Decoder::read(&At::root(&node, "")).unwrap();
            whole(&decoder, &Bytes::from(body), &mut left).map(|found| found.all.len()).unwrap_err().message
        };
        assert!(failure(&json!({"type": "XmlDecoder"}), b"<r>".to_vec(), 0).contains("no XML"));
        // Each file of the archive would fit by itself.
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["one", "two"] {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(format!("[{}]", " ".repeat(10_000)).as_bytes()).unwrap();
            zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(&gzip.finish().unwrap()).unwrap();
        }
        let said =
            json!({"type": "ZipfileDecoder", "decoder": {"type": "GzipDecoder", "decoder": {"type": "JsonDecoder"}}});
        assert!(failure(&said, zip.finish().unwrap().into_inner(), 15_000).starts_with("two: a body is broken gzip"));
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"a,b\n1,2\n").unwrap();
        let packed = gzip.finish().unwrap();
        let said = json!({"type": "GzipDecoder", "decoder": {"type": "CsvDecoder"}});
        check(&said, &packed, &json!([{"a": "1", "b": "2"}]), 0);
        check(&said, b"a,b\n1,2\n", &json!([{"a": "1", "b": "2"}]), 0);

        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in [("one.json", "[1]"), ("two.json", "{\"a\":2}")] {
            zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        let packed = zip.finish().unwrap().into_inner();
        check(
            &json!({"type": "ZipfileDecoder", "decoder": {"type": "JsonDecoder"}}),
            &packed,
            &json!([1, {"a": 2}]),
            0,
        );
    }

    #[test]
    fn rows_come_in_batches_and_a_body_that_breaks_off_is_no_end() {
        let node = Node::from_json(&json!({"type": "GzipDecoder", "decoder": {"type": "JsonlDecoder"}}), 1);
        let decoder = Decoder::read(&At::root(&node, "")).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        (0..2_500).for_each(|id| writeln!(gzip, "{{\"id\":{id},\"text\":\"{}\"}}", id * 7_919).unwrap());
        let packed = Bytes::from(gzip.finish().unwrap());
        let mut found = rows(&decoder, Box::new(packed.clone().reader())).unwrap().unwrap();
        let mut counts = Vec::new();
        while let Some(batch) = found.batch().unwrap() {
            counts.push(batch.all.len());
        }
        assert_eq!(counts, [1_000, 1_000, 500]);

        let cut = packed.slice(..packed.len() - 20);
        let mut found = rows(&decoder, Box::new(cut.reader())).unwrap().unwrap();
        let failure = std::iter::from_fn(|| Some(found.batch())).take(5).find_map(Result::err);
        assert!(failure.unwrap().message.contains("breaks off"));
    }
}
