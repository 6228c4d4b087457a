//! From documents to records: found, filtered, changed, bent to the schema where that is asked for.
//!
//! A record is held by an `Arc` so that templates see it without a copy; between two steps nobody else holds it, and
//! changes are made in place. Where a template cannot deal with a record, that is told, and the record goes on.

mod normalize;
mod transform;

use std::sync::Arc;

use lockstep_expr::interpolation::{Bound, Scope};
use lockstep_manifest::{Extractor, Filter, RecordSelector, SchemaNormalization, Text, Transformation};
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::{dpath, python, tree};

pub(crate) use transform::{of_kind, plain_path, transform_fields};

/// Most problems with single records told of in one page.
const PROBLEMS_SHOWN: usize = 10;

/// What makes records of documents.
pub(crate) struct Selector {
    path: Vec<String>,
    condition: Option<Text>,
    transformations: Vec<transform::Ready>,
    transforms_first: bool,
    schema: Option<Arc<Value>>,
    /// Rows of a file: texts that stand for nothing become null.
    nothings: Option<&'static [&'static str]>,
}

/// What an empty cell holds, and what else programs write for nothing: the words that pandas knows.
const EMPTY: &[&str] = &[""];
const NOTHINGS: &[&str] = &[
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// The records of a page.
#[derive(Debug, Default)]
pub(crate) struct Selected {
    pub(crate) records: Vec<Arc<Value>>,
    /// How many there were before any was left out.
    pub(crate) found: usize,
    pub(crate) problems: Vec<String>,
}

impl Selector {
    pub(crate) fn new(
        said: &RecordSelector,
        transformations: &[Transformation],
        is_client_side: bool,
        schema: Option<Arc<Value>>,
        scope: &Scope,
    ) -> Result<Self, Failure> {
        let condition = said.record_filter.as_ref().and_then(|Filter::RecordFilter(filter)| filter.condition.clone());
        let normalizes = said.schema_normalization == Some(SchemaNormalization::Default);
        Ok(Self {
            path: path(&said.extractor, scope)?,
            condition: condition.filter(|condition| !condition.source().is_empty()),
            transformations: transform::ready(transformations, scope)?,
            // The cursor's field may be one that a transformation makes.
            transforms_first: said.transform_before_filtering.unwrap_or(is_client_side),
            schema: schema.filter(|schema| normalizes && schema.get("properties").is_some()),
            nothings: nothings(&said.extractor),
        })
    }

    /// One that only finds.
    pub(crate) fn plain(extractor: &Extractor, scope: &Scope) -> Result<Self, Failure> {
        Ok(Self {
            path: path(extractor, scope)?,
            condition: None,
            transformations: Vec::new(),
            transforms_first: false,
            schema: None,
            nothings: nothings(extractor),
        })
    }

    /// One for records that were found elsewhere.
    pub(crate) fn after(
        said: &RecordSelector,
        transformations: &[Transformation],
        is_client_side: bool,
        schema: Option<Arc<Value>>,
        scope: &Scope,
    ) -> Result<Self, Failure> {
        let selector = Self::new(said, transformations, is_client_side, schema, scope)?;
        Ok(Self { path: Vec::new(), nothings: None, ..selector })
    }

    /// The records of these documents. `keeps` is asked of each: what is not new is left out. A record that a template
    /// cannot deal with is told of and goes on as it is.
    pub(crate) fn select(
        &self,
        documents: Vec<Value>,
        scope: &Scope,
        keeps: &mut dyn FnMut(&Value) -> bool,
    ) -> Selected {
        let mut selected = Selected::default();
        let mut scope = scope.clone();
        for mut document in documents {
            for mut record in extract(&mut document, &self.path) {
                selected.found += 1;
                if let Some(words) = self.nothings {
                    empty(&mut record, words);
                }
                let mut record = Arc::new(record);
                match self.one(&mut record, &mut scope, keeps) {
                    Ok(false) => continue,
                    Ok(true) => {}
                    Err(failure) if selected.problems.len() < PROBLEMS_SHOWN => {
                        selected.problems.push(format!("record {} of a page: {failure}", selected.found));
                    }
                    Err(_more) => {}
                }
                selected.records.push(record);
            }
        }
        selected
    }

    /// Works on a record; whether it is kept.
    fn one(
        &self,
        record: &mut Arc<Value>,
        scope: &mut Scope,
        keeps: &mut dyn FnMut(&Value) -> bool,
    ) -> Result<bool, Failure> {
        if self.transforms_first {
            self.transform(record, scope)?;
        }
        if !keeps(record) {
            return Ok(false);
        }
        if let Some(condition) = &self.condition {
            scope.set("record", Bound::from(Arc::clone(record)));
            let is_kept = condition.is_true(scope);
            scope.set("record", Bound::nothing());
            if !is_kept? {
                return Ok(false);
            }
        }
        if !self.transforms_first {
            self.transform(record, scope)?;
        }
        if let Some(schema) = &self.schema {
            normalize::normalize(Arc::make_mut(record), schema);
        }
        Ok(true)
    }

    fn transform(&self, record: &mut Arc<Value>, scope: &mut Scope) -> Result<(), Failure> {
        let mut failed = Ok(());
        for transformation in &self.transformations {
            // The others are made all the same.
            failed = failed.and(transformation.apply(record, scope));
        }
        failed
    }
}

fn path(extractor: &Extractor, scope: &Scope) -> Result<Vec<String>, Failure> {
    match extractor {
        Extractor::Dpath(dpath) => tree::path(&dpath.field_path, scope),
        Extractor::ResponseToFile(_) => Ok(Vec::new()),
    }
}

fn nothings(extractor: &Extractor) -> Option<&'static [&'static str]> {
    match extractor {
        Extractor::Dpath(_) => None,
        Extractor::ResponseToFile(file) => Some(if file.preserve_na_values { EMPTY } else { NOTHINGS }),
    }
}

fn empty(record: &mut Value, words: &[&str]) {
    for value in record.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if value.as_str().is_some_and(|text| words.contains(&text)) {
            *value = Value::Null;
        }
    }
}

/// What stands at the path: the elements of a list, or the one thing there, unless it is empty.
fn extract(document: &mut Value, path: &[String]) -> Vec<Value> {
    if path.iter().any(|part| part == "*") {
        return dpath::take_all(document, path);
    }
    match dpath::get_mut(document, path).map(Value::take) {
        Some(Value::Array(items)) => items,
        Some(one) if python::is_true(&one) => vec![one],
        _ => Vec::new(),
    }
}

/// An object's fields, for a change in place.
fn fields(record: &mut Arc<Value>) -> Option<&mut Map<String, Value>> {
    Arc::make_mut(record).as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_manifest::{At, Node, Read};
    use serde_json::json;

    fn scope() -> Scope {
        Scope::new(jiff::Timestamp::UNIX_EPOCH).with("config", json!({"min": 2}))
    }

    fn selected(selector: &Value, transformations: &Value, documents: Vec<Value>) -> (Vec<Value>, usize, usize) {
        let node = Node::from_json(selector, 1);
        let said = RecordSelector::read(&At::root(&node, "")).unwrap();
        let node = Node::from_json(transformations, 1);
        let transformations = Vec::<Transformation>::read(&At::root(&node, "")).unwrap();
        let selector = Selector::new(&said, &transformations, false, None, &scope()).unwrap();
        let found = selector.select(documents, &scope(), &mut |_| true);
        let records = found.records.into_iter().map(Arc::unwrap_or_clone).collect();
        (records, found.found, found.problems.len())
    }

    #[test]
    fn records_are_found_filtered_and_changed() {
        let selector = json!({"extractor": {"type": "DpathExtractor", "field_path": ["data", "items"]},
            "record_filter": {"type": "RecordFilter", "condition": "{{ record['n'] >= config['min'] }}"}});
        let changes = json!([{"type": "AddFields", "fields": [{"path": ["m", "double"], "value": "{{ record['n'] * 2 }}"}]},
            {"type": "RemoveFields", "field_pointers": [["x"]]}]);
        let body = json!({"data": {"items": [{"n": 1}, {"n": 2, "x": 1}, {"n": 3}]}});
        let (records, found, problems) = selected(&selector, &changes, vec![body]);
        assert_eq!(records, [json!({"n": 2, "m": {"double": 4}}), json!({"n": 3, "m": {"double": 6}})]);
        assert_eq!((found, problems), (3, 0));
    }

    #[test]
    fn cells_of_a_file_that_stand_for_nothing_are_null() {
        let rows = json!([{"a": "", "b": "NA", "c": "x"}]);
        for (preserves, b) in [(false, Value::Null), (true, json!("NA"))] {
            let file = json!({"extractor": {"type": "ResponseToFileExtractor", "preserve_na_values": preserves}});
            let (records, ..) = selected(&file, &json!([]), vec![rows.clone()]);
            assert_eq!(records, [json!({"a": null, "b": b, "c": "x"})]);
        }
    }

    #[test]
    fn one_thing_any_entry_and_nothing() {
        let at = |path: Value| json!({"extractor": {"type": "DpathExtractor", "field_path": path}});
        let none = json!([]);
        assert_eq!(selected(&at(json!(["a"])), &none, vec![json!({"a": {"b": 1}})]).0, [json!({"b": 1})]);
        assert_eq!(selected(&at(json!(["a"])), &none, vec![json!({"a": {}}), json!({})]).1, 0);
        assert_eq!(selected(&at(json!(["a", "*"])), &none, vec![json!({"a": {"x": {"b": 1}, "y": {"b": 2}}})]).1, 2);
        assert_eq!(selected(&at(json!([])), &none, vec![json!({"b": 1}), json!({"b": 2})]).1, 2);
    }

    #[test]
    fn a_record_that_cannot_be_dealt_with_is_told_of_and_the_rest_goes_on() {
        let selector = json!({"extractor": {"type": "DpathExtractor", "field_path": []}});
        let changes = json!([{"type": "AddFields", "fields": [{"path": ["m"], "value": "{{ record['n'] - 1 }}"}]}]);
        let (records, found, problems) =
            selected(&selector, &changes, vec![json!({"n": 1}), json!({"n": "x"}), json!({"n": 3})]);
        assert_eq!(records[1], json!({"n": "x"}));
        assert_eq!((records.len(), found, problems), (3, 3, 1));
    }
}
