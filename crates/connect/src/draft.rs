//! A request in the making: what the requester says, what paging, windows and partitions inject, what proves who
//! calls. Two that set the same thing differently are an error, as in the format; then it is made into bytes once.

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use lockstep_expr::interpolation::Scope;
use lockstep_manifest::{HttpRequester, InjectInto, Method, RequestBody, RequestOption, Text, Tree};
use serde_json::{Map, Value};
use url::Url;

use crate::failure::Failure;
use crate::{python, tree};

/// A request in the making.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) method: http::Method,
    pub(crate) url: String,
    pub(crate) parameters: Vec<(String, Value)>,
    pub(crate) headers: Vec<(String, Value)>,
    pub(crate) form: Form,
    pub(crate) json: Option<Value>,
}

/// A body that is not JSON.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    /// None.
    Empty,
    /// Sent as it is.
    Text(String),
    /// Encoded as a form.
    Fields(Vec<(String, Value)>),
}

/// A request, ready but for the proof of who calls.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    pub(crate) method: http::Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The body's fields, where it is a form: a signature covers them.
    pub(crate) form: Vec<(String, String)>,
}

impl Draft {
    /// What the requester says; `path` takes the place of its own.
    pub(crate) fn of(requester: &HttpRequester, scope: &Scope, path: Option<&str>) -> Result<Self, Failure> {
        let mut draft = Self {
            method: method(requester.http_method),
            url: address(requester, scope, path)?,
            parameters: Vec::new(),
            headers: Vec::new(),
            form: Form::Empty,
            json: None,
        };
        if let Some(parameters) = &requester.request_parameters {
            draft.parameters = tree::parameters(parameters, scope)?;
        }
        if let Some(headers) = &requester.request_headers {
            let headers = tree::headers(headers, scope)?;
            draft.headers = headers.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
        }
        let (data, json) = bodies(requester);
        if let Some(data) = data {
            draft.form = form(data, scope)?;
        }
        if let Some(json) = json {
            draft.json = Some(tree::value(json, scope)?).filter(python::is_true);
        }
        if let Some(RequestBody::PlainText(body)) = &requester.request_body {
            draft.form = Form::Text(body.value.text(scope)?);
        }
        Ok(draft)
    }

    /// Puts a value where the option says.
    pub(crate) fn inject(&mut self, option: &RequestOption, value: Value, scope: &Scope) -> Result<(), Failure> {
        let name = || {
            let name = option.field_name.as_ref().map(|name| name.text(scope)).transpose()?;
            name.ok_or_else(|| Failure::system("a request option needs `field_name` or `field_path`; give one of them"))
        };
        match option.inject_into {
            InjectInto::Parameter => put(&mut self.parameters, name()?, value),
            InjectInto::Header => put(&mut self.headers, name()?, value),
            InjectInto::BodyData => {
                if matches!(self.form, Form::Empty) {
                    self.form = Form::Fields(Vec::new());
                }
                match &mut self.form {
                    Form::Fields(fields) => put(fields, name()?, value),
                    _ => Err(Failure::system(
                        "a body of plain text takes no fields; give `request_body_data` as a mapping",
                    )),
                }
            }
            InjectInto::BodyJson => {
                let path =
                    if option.field_path.is_empty() { vec![name()?] } else { tree::path(&option.field_path, scope)? };
                let body = self.json.get_or_insert_with(|| Value::Object(Map::new()));
                if let Some(known) = crate::dpath::get(body, &path).filter(|known| **known != value) {
                    return Err(twice(&path.join("."), known, &value));
                }
                crate::dpath::set(body, &path, value);
                Ok(())
            }
        }
    }

    /// Sets a header, which nobody else may have set.
    pub(crate) fn header(&mut self, name: impl Into<String>, value: impl Into<String>) -> Result<(), Failure> {
        put(&mut self.headers, name.into(), Value::String(value.into()))
    }

    /// The request as bytes.
    pub(crate) fn ready(self) -> Result<Ready, Failure> {
        let mut url = Url::parse(&self.url).map_err(|error| {
            Failure::config(format!("{:?} is not a URL ({error}); check the address in the configuration", self.url))
        })?;
        add_parameters(&mut url, &self.parameters);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate"));
        let (body, form, kind) = match (self.json, self.form) {
            (Some(_), Form::Text(_) | Form::Fields(_)) => {
                return Err(Failure::system("a request has a JSON body and a form at once; give one of them"));
            }
            (Some(json), Form::Empty) => (Bytes::from(json.to_string()), Vec::new(), Some("application/json")),
            (None, Form::Text(text)) => (Bytes::from(text), Vec::new(), None),
            (None, Form::Fields(fields)) => {
                let pairs = pairs(&fields);
                let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
                (Bytes::from(body), pairs, Some("application/x-www-form-urlencoded"))
            }
            (None, Form::Empty) => (Bytes::new(), Vec::new(), None),
        };
        if let Some(kind) = kind {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        for (name, value) in &self.headers {
            let (name, value) = header(name, &python::text(value))?;
            headers.insert(name, value);
        }
        Ok(Ready { method: self.method, url, headers, body, form })
    }
}

/// A header, if it can be one. The value is not shown: it may be a secret.
pub(crate) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let parsed = HeaderName::from_bytes(name.trim().as_bytes());
    let known =
        parsed.map_err(|error| Failure::config(format!("{name:?} cannot be the name of a header ({error})")))?;
    let value = HeaderValue::from_str(value.trim()).map_err(|_odd| {
        Failure::config(format!(
            "the value of the header {name} holds a line break or another control character; check the configuration"
        ))
    })?;
    Ok((known, value))
}

fn bodies(requester: &HttpRequester) -> (Option<&Tree>, Option<&Tree>) {
    match &requester.request_body {
        Some(RequestBody::Form(body)) => (Some(&body.value), None),
        Some(RequestBody::Json(body) | RequestBody::GraphQl(body)) => (None, Some(&body.value)),
        Some(RequestBody::PlainText(_)) => (None, None),
        None => (requester.request_body_data.as_ref(), requester.request_body_json.as_ref()),
    }
}

fn form(data: &Tree, scope: &Scope) -> Result<Form, Failure> {
    if let Tree::Text(text) = data {
        let rendered = text.text(scope)?;
        return Ok(if rendered.is_empty() { Form::Empty } else { Form::Text(rendered) });
    }
    let fields = tree::parameters(data, scope)?;
    Ok(if fields.is_empty() { Form::Empty } else { Form::Fields(fields) })
}

fn put(entries: &mut Vec<(String, Value)>, name: String, value: Value) -> Result<(), Failure> {
    match entries.iter().find(|(known, _)| *known == name) {
        Some((_, known)) if python::text(known) != python::text(&value) => Err(twice(&name, known, &value)),
        Some(_) => Ok(()),
        None => {
            entries.push((name, value));
            Ok(())
        }
    }
}

fn twice(name: &str, known: &Value, value: &Value) -> Failure {
    // Kinds, not values: either may be a secret.
    let kind = |value: &Value| if value.is_string() { "text" } else { "value" };
    Failure::system(format!(
        "the request sets `{name}` twice, to one {} and another {}; take it out of the request's own options or of what is injected",
        kind(known),
        kind(value)
    ))
}

/// Values as a query holds them: a list is several, nothing is none.
fn pairs(entries: &[(String, Value)]) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (name, value) in entries {
        match value {
            Value::Null => {}
            Value::Array(items) => {
                let items = items.iter().filter(|item| !item.is_null());
                pairs.extend(items.map(|item| (name.clone(), python::text(item))));
            }
            one => pairs.push((name.clone(), python::text(one))),
        }
    }
    pairs
}

/// Adds parameters to the query, without those that the URL says already.
fn add_parameters(url: &mut Url, parameters: &[(String, Value)]) {
    let known: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let new: Vec<_> = pairs(parameters).into_iter().filter(|pair| !known.contains(pair)).collect();
    if !new.is_empty() {
        url.query_pairs_mut().extend_pairs(new);
    }
}

const fn method(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
    }
}

fn address(requester: &HttpRequester, scope: &Scope, path: Option<&str>) -> Result<String, Failure> {
    let text =
        |text: &Option<Text>| text.as_ref().map(|text| text.text(scope)).transpose().map(Option::unwrap_or_default);
    let base = text(&requester.url_base)?;
    let base = if base.is_empty() { text(&requester.url)? } else { base };
    let own = text(&requester.path)?;
    join(&base, path.unwrap_or_else(|| own.trim_start_matches('/')))
}

/// The path below the base; a whole URL stands for itself.
fn join(base: &str, path: &str) -> Result<String, Failure> {
    let base = base.trim();
    if path.is_empty() {
        return Ok(base.to_owned());
    }
    let folder = if base.ends_with('/') { base.to_owned() } else { format!("{base}/") };
    let url = Url::parse(&folder).map_err(|error| {
        Failure::config(format!("{base:?} is not a URL ({error}); check the address in the configuration"))
    })?;
    url.join(path)
        .map(String::from)
        .map_err(|error| Failure::system(format!("the path {path:?} makes no URL ({error})")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_are_joined_as_links_are() {
        for (base, path, expected) in [
            ("https://a.test/v1", "items", "https://a.test/v1/items"),
            ("https://a.test/v1/", "", "https://a.test/v1/"),
            ("https://a.test/v1", "https://b.test/x?y=1", "https://b.test/x?y=1"),
            ("https://a.test/v1/", "?page=2", "https://a.test/v1/?page=2"),
            ("https://a.test", "a b", "https://a.test/a%20b"),
        ] {
            assert_eq!(join(base, path).unwrap(), expected, "{base} {path}");
        }
    }

    #[test]
    fn a_query_takes_lists_and_leaves_out_what_stands_already() {
        let mut url = Url::parse("https://a.test/x?a=1").unwrap();
        add_parameters(
            &mut url,
            &[
                ("a".into(), json!(1)),
                ("b".into(), json!(["x", 2])),
                ("c".into(), json!(true)),
                ("d".into(), json!(null)),
            ],
        );
        assert_eq!(url.query(), Some("a=1&b=x&b=2&c=True"));
    }

    #[test]
    fn two_different_values_for_one_thing_are_refused_without_showing_them() {
        let mut entries = vec![("key".to_owned(), json!("secret-1"))];
        put(&mut entries, "key".into(), json!("secret-1")).unwrap();
        let failure = put(&mut entries, "key".into(), json!("secret-2")).unwrap_err();
        assert!(failure.message.contains("`key` twice") && !failure.message.contains("secret"), "{failure}");
    }
}
