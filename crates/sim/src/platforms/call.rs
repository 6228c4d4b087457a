//! A call to a platform, its answer, and a hook that a platform sends: plain values, so that a platform is a
//! function of them. It must not know any platform.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value};
use url::Url;

/// One request that came in.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Call {
    /// A call without headers and body.
    ///
    /// # Panics
    /// When `target` is no path with a query, which only a test can write.
    #[must_use]
    pub fn new(method: Method, target: &str) -> Self {
        let url = Url::parse("https://platform.test").and_then(|base| base.join(target));
        let url = url.unwrap_or_else(|error| panic!("`{target}` is no path: {error}"));
        Self { method, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// The same with a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        insert(&mut self.headers, name, value);
        self
    }

    /// The same with a JSON body.
    #[must_use]
    pub fn with_json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into();
        self.with(CONTENT_TYPE.as_str(), "application/json")
    }

    /// The same with the fields of a form.
    #[must_use]
    pub fn with_form(mut self, fields: &[(&str, &str)]) -> Self {
        self.body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into();
        self.with(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded")
    }

    /// The pieces of its path, decoded.
    #[must_use]
    pub fn segments(&self) -> Vec<String> {
        let pieces = self.url.path_segments().into_iter().flatten().filter(|piece| !piece.is_empty());
        // A `+` in a path is a plus; in a form, which is what the decoder reads, it is a blank.
        let pieces = pieces.map(|piece| piece.replace('+', "%2B"));
        pieces.map(|piece| form_urlencoded::parse(piece.as_bytes()).map(|(name, _)| name).collect()).collect()
    }

    /// The first value of a name in its query.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        self.queries(name).next()
    }

    /// All values of a name in its query.
    pub fn queries(&self, name: &str) -> impl Iterator<Item = String> {
        self.url.query_pairs().filter(move |(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// A number in its query.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<usize> {
        self.query(name)?.parse().ok()
    }

    /// A header as text; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The token of `Authorization: Bearer`.
    #[must_use]
    pub fn bearer(&self) -> Option<&str> {
        self.header(AUTHORIZATION.as_str()).strip_prefix("Bearer ")
    }

    /// User and password of `Authorization: Basic`.
    #[must_use]
    pub fn basic(&self) -> Option<(String, String)> {
        let encoded = self.header(AUTHORIZATION.as_str()).strip_prefix("Basic ")?;
        let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        pair.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The first value of a field of the form in the body.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(&self.body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The body as data, whether it is JSON or a form with PHP's names; none where it is neither.
    #[must_use]
    pub fn data(&self) -> Option<Value> {
        if !self.is_form() {
            return if self.body.is_empty() { Some(Value::Object(Map::new())) } else { self.json() };
        }
        let mut data = Value::Object(Map::new());
        for (name, value) in form_urlencoded::parse(&self.body) {
            let path: Vec<&str> = name.split('[').map(|piece| piece.trim_end_matches(']')).collect();
            put_php(&mut data, &path, &value);
        }
        Some(data)
    }

    /// Whether the body is a form.
    #[must_use]
    pub fn is_form(&self) -> bool {
        self.header(CONTENT_TYPE.as_str()).starts_with("application/x-www-form-urlencoded")
    }
}

/// What a platform answers.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// How long it takes, in milliseconds.
    pub after_ms: u64,
    /// Whether the body goes out in pieces, without a length told before.
    pub is_chunked: bool,
}

impl Answer {
    /// A status without a body.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self { status, ..Self::default() }
    }

    /// JSON.
    #[must_use]
    pub fn json(status: StatusCode, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    /// A body of some type.
    #[must_use]
    pub fn text(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Self {
        let answer = Self { status, body: body.into(), ..Self::default() };
        answer.with(CONTENT_TYPE.as_str(), content_type)
    }

    /// The same with a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        insert(&mut self.headers, name, value);
        self
    }

    /// A header as text; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A call that a platform makes to whoever listens for its changes.
#[derive(Clone, Debug)]
pub struct Hook {
    /// What on the platform sends it: a webhook's id.
    pub webhook: String,
    /// Its method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Hook {
    /// A POST of a form.
    #[must_use]
    pub fn form(webhook: &str, url: Url, fields: &[(String, String)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut headers = HeaderMap::new();
        insert(&mut headers, CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded");
        Self { webhook: webhook.to_owned(), method: Method::POST, url, headers, body: body.into() }
    }

    /// The value of a field of the form in its body.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(&self.body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// The fields of a form that say what a value says, as PHP writes them: `a[b]=1`, `list[]=x`.
pub(super) fn php_fields(name: &str, value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Object(members) => {
            members.iter().flat_map(|(key, value)| php_fields(&format!("{name}[{key}]"), value)).collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| php_fields(&format!("{name}[]"), item)).collect(),
        Value::String(text) => vec![(name.to_owned(), text.clone())],
        Value::Null => vec![(name.to_owned(), String::new())],
        other => vec![(name.to_owned(), other.to_string())],
    }
}

/// Puts a field of a form where its name says; an empty piece of the name means the end of a list.
fn put_php(data: &mut Value, path: &[&str], value: &str) {
    match (path, data) {
        ([], data) => *data = Value::from(value),
        (["", rest @ ..], Value::Array(items)) => {
            items.push(Value::Null);
            if let Some(last) = items.last_mut() {
                put_php(last, rest, value);
            }
        }
        (["", ..], data) => {
            *data = Value::Array(Vec::new());
            put_php(data, path, value);
        }
        ([name, rest @ ..], Value::Object(members)) => {
            put_php(members.entry(*name).or_insert(Value::Null), rest, value);
        }
        (_, data) => {
            *data = Value::Object(Map::new());
            put_php(data, path, value);
        }
    }
}

/// Puts a header; one that cannot be written is left out.
pub(super) fn insert(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}
