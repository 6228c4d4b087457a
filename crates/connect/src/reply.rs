//! An answer, whatever its status: uncompressed, and read as JSON at most once.

use std::io::Read;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, LINK};
use http::{HeaderMap, StatusCode};
use lockstep_expr::interpolation::Bound;
use serde_json::{Map, Value};
use url::Url;

use crate::failure::Failure;

/// Most bytes of one answer, compressed and not: a page of anything, and more than most exports.
pub const RESPONSE_BYTES_MAX: usize = 128 * 1_024 * 1_024;

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) url: Url,
    json: OnceLock<Option<Arc<Value>>>,
}

impl Reply {
    /// The answer as it came, with the transport's compression undone.
    pub(crate) fn of(answer: lockstep_egress::Response, url: Url) -> Result<Self, Failure> {
        if answer.is_cut {
            return Err(Failure::system(format!(
                "{} answers with more than {RESPONSE_BYTES_MAX} bytes; ask for smaller pages",
                shown(&url)
            )));
        }
        let body = uncompressed(&answer.headers, &answer.body).ok_or_else(|| {
            Failure::system(format!(
                "{}: the answer is broken gzip, or has over {RESPONSE_BYTES_MAX} bytes when unpacked; ask for smaller pages",
                shown(&url)
            ))
        })?;
        Ok(Self { status: answer.status, headers: answer.headers, body, url, json: OnceLock::new() })
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.status.as_u16() < 400
    }

    /// The body as JSON, if it is some.
    pub(crate) fn json(&self) -> Option<Arc<Value>> {
        self.json.get_or_init(|| parse(&self.body).map(Arc::new)).clone()
    }

    /// The body as JSON to be taken apart; it is not kept.
    pub(crate) fn take_json(&mut self) -> Option<Value> {
        match self.json.take() {
            Some(known) => known.map(Arc::unwrap_or_clone),
            None => parse(&self.body),
        }
    }

    /// The body as templates over errors see it: an object, empty where there is no JSON.
    pub(crate) fn bound(&self) -> Bound {
        self.json().map_or_else(|| Bound::from(Value::Object(Map::new())), Bound::from)
    }

    /// The headers as templates see them, by names in any case; `link` is taken apart by `rel`.
    pub(crate) fn bound_headers(&self, with_links: bool) -> Bound {
        let mut fields = Map::new();
        for (name, value) in &self.headers {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            match fields.get_mut(name.as_str()) {
                Some(Value::String(known)) => *known = format!("{known}, {text}"),
                _ => {
                    fields.insert(name.as_str().to_owned(), Value::String(text));
                }
            }
        }
        if with_links {
            fields.insert("link".to_owned(), self.links());
        }
        Bound::caseless(Value::Object(fields))
    }

    /// RFC 8288 links by their relation, each with its `url`.
    fn links(&self) -> Value {
        let mut links = Map::new();
        for value in self.headers.get_all(LINK) {
            let Ok(text) = value.to_str() else { continue };
            links.extend(parse_links(text));
        }
        Value::Object(links)
    }

    /// What the platform says is wrong, as far as it says so in one of the usual fields; short.
    pub(crate) fn complaint(&self) -> Option<String> {
        const SHOWN_CHARS: usize = 300;
        let text = match self.json() {
            Some(json) => complaint(&json)?,
            None => {
                let text = String::from_utf8_lossy(&self.body);
                let is_page = text.trim_start().starts_with('<');
                if is_page { "a page of HTML".to_owned() } else { text.into_owned() }
            }
        };
        let text: String = plain(&text).chars().take(SHOWN_CHARS).collect();
        (!text.is_empty()).then_some(text)
    }

    /// Where it came from, without the query, where secrets live.
    pub(crate) fn shown_url(&self) -> String {
        shown(&self.url)
    }
}

/// A URL without its query, and without the user that it may name.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // These fail where there is no user to take out.
    let _none = url.set_username("").and_then(|()| url.set_password(None));
    url.into()
}

/// Words of a platform in one line, without what would write elsewhere on a terminal.
pub(crate) fn plain(text: &str) -> String {
    let words = text.split(|one: char| one.is_whitespace() || one.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// The body with the transport's compression undone; `None` where it does not come undone. Some servers name a
/// compression and have not used it.
pub(crate) fn uncompressed(headers: &HeaderMap, body: &Bytes) -> Option<Bytes> {
    let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match encoding.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" if body.starts_with(&GZIP_BEGIN) => gunzip(body, RESPONSE_BYTES_MAX),
        "deflate" => inflate(body).or_else(|| Some(body.clone())),
        _ => Some(body.clone()),
    }
}

/// How gzip begins.
pub(crate) const GZIP_BEGIN: [u8; 2] = [0x1f, 0x8b];

fn parse(body: &[u8]) -> Option<Value> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice(body).ok()
}

/// The links of one header by their relations. A URL may hold commas and semicolons; it ends with its bracket.
fn parse_links(text: &str) -> Vec<(String, Value)> {
    let mut links = Vec::new();
    for link in text.split('<').skip(1) {
        let Some((url, parameters)) = link.split_once('>') else { continue };
        let mut fields = Map::from_iter([("url".to_owned(), Value::from(url))]);
        for (name, value) in parameters.split(';').filter_map(|part| part.split_once('=')) {
            let value = value.trim_matches([' ', ',', '"', '\'']);
            fields.insert(name.trim().to_owned(), Value::from(value));
        }
        let relation = fields.get("rel").and_then(Value::as_str).map(ToOwned::to_owned);
        links.extend(relation.map(|relation| (relation, Value::Object(fields))));
    }
    links
}

/// The fields in which platforms say what is wrong, in the order in which they are looked at.
const COMPLAINTS: [&str; 12] = [
    "message",
    "messages",
    "error",
    "errors",
    "failures",
    "failure",
    "detail",
    "err",
    "error_message",
    "msg",
    "reason",
    "status_message",
];

fn complaint(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(items.iter().filter_map(complaint).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let found =
                COMPLAINTS.iter().filter_map(|name| fields.get(*name)).find(|value| crate::python::is_true(value));
            found.and_then(complaint)
        }
        _ => None,
    }
}

/// Bytes out of gzip; `None` where they are not, or are more than so many.
pub(crate) fn gunzip(bytes: &[u8], bytes_max: usize) -> Option<Bytes> {
    bounded(flate2::read::MultiGzDecoder::new(bytes), bytes_max)
}

fn inflate(bytes: &[u8]) -> Option<Bytes> {
    let zlib = bounded(flate2::read::ZlibDecoder::new(bytes), RESPONSE_BYTES_MAX);
    zlib.or_else(|| bounded(flate2::read::DeflateDecoder::new(bytes), RESPONSE_BYTES_MAX))
}

fn bounded(reader: impl Read, bytes_max: usize) -> Option<Bytes> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).ok()?;
    reader.take(limit + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() <= bytes_max).then(|| Bytes::from(bytes))
}
