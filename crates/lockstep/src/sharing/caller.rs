//! One caller of the REST face of a hub, within one business.

use super::args::AskArgs;
use crate::failure::Failure;
use crate::printer::say;
use crate::remote::{Remote, whole};
use http::Method;
use lockstep_core::error::Code;
use serde_json::{Map, Value};
use std::io::Read as _;
use std::path::Path;
use url::Url;
use url::form_urlencoded::Serializer;

/// Items of one page.
const PAGE_ITEMS: usize = 500;

/// A caller, and how it prints.
pub(crate) struct Caller {
    remote: Remote,
    business: Option<String>,
    /// Whether answers are printed as JSON.
    pub(crate) json: bool,
}

/// A column of a table: its head, and what stands in it of an item.
pub(crate) type Column = (&'static str, fn(&Value) -> String);

/// A path below a root, with what people typed kept within one part of it.
fn path_of(root: &str, parts: &[&str]) -> Result<String, Failure> {
    let mut url = Url::parse("http://hub/").map_err(|error| Failure::Other(error.into()))?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(root.split('/').filter(|part| !part.is_empty())).extend(parts);
    }
    Ok(url.path().to_owned())
}

impl Caller {
    pub(crate) fn new(args: &AskArgs) -> Result<Self, Failure> {
        Ok(Self { remote: Remote::as_caller(&args.remote)?, business: args.business.clone(), json: args.json })
    }

    /// A caller of a business of a hub.
    pub(crate) fn of(remote: Remote, business: &str) -> Self {
        Self { remote, business: Some(business.to_owned()), json: false }
    }

    /// The business asked for, or the one that the key opens.
    async fn business(&self) -> Result<String, Failure> {
        match &self.business {
            Some(business) => Ok(business.clone()),
            None => self.remote.only_business().await,
        }
    }

    /// Calls something within the business; gives the answer, null where it is empty.
    pub(crate) async fn call(&self, method: Method, parts: &[&str], body: Option<&Value>) -> Result<Value, Failure> {
        let business = self.business().await?;
        let path = path_of("rest/v1/businesses", &[&[business.as_str()], parts].concat())?;
        self.send(method, &path, body).await
    }

    /// The same with a query.
    pub(crate) async fn ask(
        &self,
        method: Method,
        parts: &[&str],
        query: &[(&str, &str)],
        body: &Value,
    ) -> Result<Value, Failure> {
        let business = self.business().await?;
        let path = path_of("rest/v1/businesses", &[&[business.as_str()], parts].concat())?;
        let query = Serializer::new(String::new()).extend_pairs(query).finish();
        self.send(method, &format!("{path}?{query}"), Some(body)).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let answer = whole(self.remote.send(method, path, body).await?).await?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer).map_err(|error| Failure::Other(error.into()))
    }

    /// The items of a list within the business, such as `runs` or `records/contact`, page by page, at most so many.
    pub(crate) async fn list(
        &self,
        name: &str,
        query: &[(&str, Option<String>)],
        most: usize,
    ) -> Result<Vec<Value>, Failure> {
        let business = self.business().await?;
        let mut text = Serializer::new(String::new());
        for (name, value) in query {
            if let Some(value) = value {
                text.append_pair(name, value);
            }
        }
        text.append_pair("limit", &most.clamp(1, PAGE_ITEMS).to_string());
        let parts: Vec<&str> = std::iter::once(business.as_str()).chain(name.split('/')).collect();
        let first = format!("{}?{}", path_of("rest/v1/businesses", &parts)?, text.finish());
        self.pages(first, most).await
    }

    /// The same of a list outside businesses.
    pub(crate) async fn list_all(&self, name: &str) -> Result<Vec<Value>, Failure> {
        self.pages(path_of("rest/v1", &[name])?, usize::MAX).await
    }

    async fn pages(&self, first: String, most: usize) -> Result<Vec<Value>, Failure> {
        let (mut items, mut path) = (Vec::new(), first);
        loop {
            let mut page = self.send(Method::GET, &path, None).await?;
            if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            let next = page.get("next").and_then(Value::as_str).map(str::to_owned);
            match next.filter(|_| items.len() < most) {
                Some(next) => path = next,
                None => break,
            }
        }
        items.truncate(most);
        Ok(items)
    }

    /// Prints an answer: as JSON, or as a line for people.
    pub(crate) fn tell(&self, answer: &Value, line: impl FnOnce(&Value) -> String) {
        if self.json { say(&pretty(answer)) } else { say(&line(answer)) }
    }

    /// Prints a list: as JSON, or as a table.
    pub(crate) fn tell_all(&self, items: Vec<Value>, columns: &[Column], none: &str) {
        if self.json {
            return say(&pretty(&Value::Array(items)));
        }
        if items.is_empty() {
            return say(none);
        }
        let head = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let rows = items.iter().map(|item| columns.iter().map(|(_, cell)| cell(item)).collect());
        for line in table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()) {
            say(&line);
        }
    }
}

/// JSON for people and machines.
pub(crate) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Rows with their columns under each other.
fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A member of an answer as text; empty where it is not there. What was named elsewhere cannot move the cursor.
pub(crate) fn text(item: &Value, pointer: &str) -> String {
    let text = match item.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    text.replace(|one: char| one.is_control(), " ")
}

/// JSON from a file, or from standard input by `-`.
pub(crate) fn read(path: &Path) -> Result<Value, Failure> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_bytes| text)
    } else {
        std::fs::read_to_string(path)
    };
    let invalid = |what: String| Failure::new(Code::SettingsInvalid, format!("{}: {what}", path.display()));
    let text = text.map_err(|error| invalid(format!("cannot be read: {error}")))?;
    serde_json::from_str(&text).map_err(|error| invalid(format!("is no JSON: {error}")))
}

/// `NAME=VALUE`: the value is JSON where it reads as such, else text.
pub(crate) fn pair(text: &str) -> Result<(&str, Value), Failure> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| Failure::new(Code::SettingsInvalid, format!("{text:?} is no NAME=VALUE: put = between them")))?;
    Ok((name, serde_json::from_str(value).unwrap_or_else(|_text| value.into())))
}

/// Options, each as `NAME=VALUE`.
pub(crate) fn options(texts: &[String]) -> Result<Map<String, Value>, Failure> {
    texts.iter().map(|text| pair(text).map(|(name, value)| (name.to_owned(), value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_stand_under_each_other() {
        let rows = [["ID", "LABEL"], ["con_1", "é"], ["c", "longer"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec()).to_vec();
        assert_eq!(table(&rows), ["ID     LABEL", "con_1  é", "c      longer"]);
    }

    #[test]
    fn what_is_typed_stays_within_its_part_of_the_path() {
        assert_eq!(path_of("rest/v1", &["a/b", "..", "c?d"]).unwrap(), "/rest/v1/a%2Fb/c%3Fd");
    }

    #[test]
    fn values_are_json_where_they_read_as_such() {
        assert_eq!(pair("a=1").unwrap(), ("a", json!(1)));
        assert_eq!(pair("a=x=y").unwrap(), ("a", json!("x=y")));
        assert_eq!(pair("a={\"b\": true}").unwrap(), ("a", json!({"b": true})));
        assert!(pair("a").is_err() && pair("=a").is_err());
        assert_eq!(text(&json!({"a": "x\u{1b}[2J", "b": {"c": 7}}), "/b/c"), "7");
        assert_eq!(text(&json!({"a": "x\u{1b}[2J"}), "/a"), "x [2J");
    }
}
