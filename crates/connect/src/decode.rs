//! From an answer's body to documents: JSON, lines, rows, XML, and what is packed in gzip or zip.
//!
//! A JSON list is its elements, as in the format, and no body at all an empty document. A body that cannot be read is a
//! failure, so that nothing after it is taken for done; a broken line or row is a problem of its own, and the rest is
//! read.

use std::io::{Cursor, Read};

use lockstep_files::csv;
use lockstep_manifest::{CsvDecoder, Decoder};
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::reply::{GZIP_BEGIN, RESPONSE_BYTES_MAX, Reply, gunzip};

/// Most files read of one archive.
const FILES_MAX: usize = 10_000;
/// Most broken rows told of in one answer.
const BROKEN_SHOWN: usize = 10;

/// The documents of an answer, and what of it could not be read.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    pub(crate) all: Vec<Value>,
    pub(crate) problems: Vec<String>,
}

/// Whether a page of this decoder can be looked into by paging; others are seen as empty.
pub(crate) fn is_seen_by_paging(decoder: Option<&Decoder>) -> bool {
    matches!(decoder, None | Some(Decoder::Json(_) | Decoder::Xml(_)))
}

/// All documents of an answer.
pub(crate) fn decode(decoder: Option<&Decoder>, reply: &mut Reply) -> Result<Documents, Failure> {
    match decoder {
        None | Some(Decoder::Json(_)) => {
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
            Ok(Documents { all, problems: Vec::new() })
        }
        Some(decoder) => {
            let mut left = RESPONSE_BYTES_MAX;
            parse(decoder, &reply.body, &mut left).map_err(|failure| failure.while_at(reply.shown_url()))
        }
    }
}

/// The documents of a body. `left` are the bytes to which what is packed in it may unfold.
fn parse(decoder: &Decoder, body: &[u8], left: &mut usize) -> Result<Documents, Failure> {
    let mut documents = Documents::default();
    match decoder {
        Decoder::Json(_) => match serde_json::from_slice(body) {
            Ok(Value::Array(items)) => documents.all = items,
            Ok(body) => documents.all.push(body),
            Err(error) => return Err(Failure::system(format!("a body is no JSON: {error}"))),
        },
        Decoder::Jsonl(_) => lines(body, &mut documents),
        Decoder::Iterable(_) => {
            let text = String::from_utf8_lossy(body);
            documents.all =
                text.lines().map(|line| Value::Object(Map::from_iter([("record".into(), line.into())]))).collect();
        }
        Decoder::Csv(said) => rows(said, body, &mut documents)?,
        Decoder::Xml(_) if body.trim_ascii().is_empty() => documents.all.push(Value::Object(Map::new())),
        Decoder::Xml(_) => match lockstep_files::xml::parse(body) {
            Ok(body) => documents.all.push(body),
            Err(error) => return Err(Failure::system(format!("the body is no XML: {error}"))),
        },
        Decoder::Gzip(inner) if body.starts_with(&GZIP_BEGIN) => {
            let unpacked = gunzip(body, *left).ok_or_else(|| {
                Failure::system(format!("a body is broken gzip, or over {RESPONSE_BYTES_MAX} bytes when unpacked"))
            })?;
            *left -= unpacked.len();
            return parse(&inner.decoder, &unpacked, left);
        }
        Decoder::Gzip(inner) => return parse(&inner.decoder, body, left),
        Decoder::Zip(inner) => archive(&inner.decoder, body, left, &mut documents)?,
    }
    Ok(documents)
}

fn lines(body: &[u8], documents: &mut Documents) {
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice(line) {
            Ok(value) => documents.all.push(value),
            Err(error) if documents.problems.len() < BROKEN_SHOWN => {
                documents.problems.push(format!("line {} is no JSON: {error}", index + 1));
            }
            Err(_more) => {}
        }
    }
}

fn rows(said: &CsvDecoder, body: &[u8], documents: &mut Documents) -> Result<(), Failure> {
    let mut options = csv::Options::default();
    if let Some(name) = &said.encoding {
        options.encoding = lockstep_files::Encoding::parse(name).map_err(|error| Failure::system(error.to_string()))?;
    }
    if let Some(delimiter) = &said.delimiter {
        options.delimiter = one_byte(delimiter)?;
    }
    for row in csv::rows(body, &options) {
        match row {
            Ok(mut row) => {
                for value in row.values_mut() {
                    if value.as_str().is_some_and(|text| said.set_values_to_none.iter().any(|none| none == text)) {
                        *value = Value::Null;
                    }
                }
                documents.all.push(Value::Object(row));
            }
            Err(error) if documents.problems.len() < BROKEN_SHOWN => documents.problems.push(error.to_string()),
            Err(_more) => {}
        }
    }
    Ok(())
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
        let found = parse(inner, &bytes, left).map_err(|failure| failure.while_at(&name))?;
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
        let found = parse(&decoder, body, &mut RESPONSE_BYTES_MAX.clone()).unwrap();
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
        let failure = |decoder: &Value, body: &[u8], mut left: usize| {
            let node = Node::from_json(decoder, 1);
            parse(&Decoder::read(&At::root(&node, "")).unwrap(), body, &mut left).unwrap_err().message
        };
        assert!(failure(&json!({"type": "XmlDecoder"}), b"<r>", 0).contains("no XML"));
        // Each file of the archive would fit by itself.
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["one", "two"] {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&[b' '; 10_000]).unwrap();
            zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(&gzip.finish().unwrap()).unwrap();
        }
        let said =
            json!({"type": "ZipfileDecoder", "decoder": {"type": "GzipDecoder", "decoder": {"type": "JsonlDecoder"}}});
        assert!(failure(&said, &zip.finish().unwrap().into_inner(), 15_000).starts_with("two: a body is broken gzip"));
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
}
