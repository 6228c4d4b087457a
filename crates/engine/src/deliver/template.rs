//! Letters by template: the parts that a subscriber wrote, rendered with what is told.
//!
//! What renders is as foreign as what a record holds: an address is judged like one that is typed and stays on the
//! subscription's own host, a header holds no line break, a body has its size. A part that fails says which it is,
//! on which line and why, and nothing is sent.

use super::letter::Letter;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method};
use lockstep_core::limits;
use lockstep_core::subscription::Template;
use lockstep_egress::{AddressPolicy, URL_BYTES_MAX};
use lockstep_expr::{TemplateScope, Templates};
use serde_json::{Map, Value};
use url::Url;

/// Methods that a template may ask for.
const METHODS: [Method; 5] = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::GET];
const METHOD_BYTES_MAX: usize = 64;

/// A template ready to be rendered.
#[derive(Debug)]
pub(super) struct Form {
    templates: Templates,
    /// Names of headers with those of their parts.
    headers: Vec<(HeaderName, String)>,
}

impl Form {
    /// The form of a template; none where it does not compile.
    pub(super) fn of(template: &Template) -> Option<Self> {
        let header = |name: &String| Some((HeaderName::try_from(name).ok()?, Template::header_part(name)));
        let headers = template.headers.keys().map(header).collect::<Option<_>>()?;
        Some(Self { templates: template.compile().ok()?, headers })
    }

    /// Fills a letter in.
    ///
    /// # Errors
    /// Which part does not render, on which line, and why.
    pub(super) fn fill(
        &self,
        letter: &mut Letter,
        policy: &AddressPolicy,
        values: &Map<String, Value>,
    ) -> Result<(), String> {
        let scope = TemplateScope::new(values);
        let render = |part: &str, bytes_max: usize| {
            self.templates.render(part, &scope, bytes_max).map_err(|error| error.to_string())
        };
        if self.templates.has("method") {
            letter.method = method(&render("method", METHOD_BYTES_MAX)?)?;
        }
        if self.templates.has("url") {
            letter.url = url(&letter.url, policy, &render("url", URL_BYTES_MAX)?)?;
        }
        for (name, part) in &self.headers {
            let text = render(part, limits::HEADER_VALUE_BYTES_MAX)?;
            letter.headers.insert(name.clone(), header(part, &text)?);
        }
        // A GET has no body; its template may be empty or not.
        if letter.method == Method::GET {
            letter.headers.remove(CONTENT_TYPE);
        } else {
            letter.body = render("body", limits::LETTER_BYTES_MAX)?.into_bytes();
        }
        Ok(())
    }
}

fn method(text: &str) -> Result<Method, String> {
    let asked = text.trim().to_ascii_uppercase();
    METHODS.into_iter().find(|method| method.as_str() == asked).ok_or_else(|| {
        "the template of method: it renders no method that is sent here; render POST, PUT, PATCH, DELETE or GET"
            .to_owned()
    })
}

fn url(own: &Url, policy: &AddressPolicy, text: &str) -> Result<Url, String> {
    let failed = |why: String| format!("the template of url: {why}");
    let text = text.trim();
    // Whoever parses URLs drops line breaks and tabs without a word.
    if text.chars().any(char::is_control) {
        return Err(failed("it renders a line break or another control character; use `|urlencode`".to_owned()));
    }
    let url = policy.check_url(text).map_err(|refused| failed(refused.to_string()))?;
    if url.origin() != own.origin() {
        let host = url.host_str().unwrap_or_default();
        return Err(failed(format!(
            "it renders an address at {}://{host}, which is not that of the subscription: only what comes after the \
             host and port may vary, since signatures and credentials are meant for one endpoint",
            url.scheme()
        )));
    }
    Ok(url)
}

fn header(part: &str, text: &str) -> Result<HeaderValue, String> {
    let value = text.trim_matches(|letter| letter == ' ' || letter == '\t');
    let is_visible = value.bytes().all(|byte| (b' '..=b'~').contains(&byte) || byte == b'\t');
    HeaderValue::try_from(value).ok().filter(|_| is_visible).ok_or_else(|| {
        format!("the template of {part}: it renders a line break, or letters outside of ASCII; use `|urlencode`")
    })
}
