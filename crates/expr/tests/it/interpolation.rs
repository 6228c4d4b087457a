//! Templates and what Airbyte's own interpolation makes of them.
//!
//! The table is data: `tests/peers/interpolation.py` printed it with airbyte-cdk 7.39.1.
#![expect(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]

use std::sync::Arc;

use jiff::Timestamp;
use lockstep_expr::ExprErrorKind;
use lockstep_expr::interpolation::{Bound, Scope, Template, literal};
use lockstep_expr::{MANIFEST_TEMPLATE_BYTES_MAX, RENDERED_BYTES_MAX};
use serde_json::{Value, json};

const TABLE: &str = include_str!("interpolation.jsonl");
const NOW: &str = "2024-03-10T12:30:45.123456Z";

fn scope_of(case: &Value) -> Scope {
    let now: Timestamp = case["now"].as_str().unwrap_or(NOW).parse().unwrap();
    let mut scope = Scope::new(now).with("config", Value::Object(serde_json::Map::new()));
    for (name, value) in case["context"].as_object().into_iter().flatten() {
        scope.set(Box::leak(name.clone().into_boxed_str()), Bound::from(Arc::new(value.clone())));
    }
    scope
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

#[track_caller]
fn eval(source: &str, scope: &Scope) -> Value {
    Template::compile(source).unwrap().eval(scope).unwrap()
}

/// What differs from the reference; `None` when nothing does.
fn difference(case: &Value) -> Option<String> {
    let source = case["template"].as_str()?;
    let scope = scope_of(case);
    let template = Template::compile(source);
    let answer = |ask: &dyn Fn(&Template) -> Result<Value, lockstep_expr::ExprError>| match &template {
        Ok(template) => ask(template),
        Err(error) => Err(error.clone()),
    };
    let eval = answer(&|template| template.eval(&scope));
    let told = |what: &str, ours: &dyn std::fmt::Debug, theirs: &Value| {
        Some(format!("{source}\n   {what}: {ours:?}\n   wanted: {theirs}"))
    };
    if case.get("error").is_some() {
        return if eval.is_err() { None } else { told("eval", &eval, &case["error"]) };
    }
    let is_true = answer(&|template| template.is_true(&scope).map(Value::from));
    if is_true.as_ref().ok() != Some(&case["true"]) {
        return told("is_true", &is_true, &case["true"]);
    }
    if case.get("mismatch").is_some() {
        let is_mismatch = eval.as_ref().is_err_and(|error| error.kind == ExprErrorKind::Mismatch);
        return if is_mismatch { None } else { told("eval", &eval, &Value::from("a mismatch")) };
    }
    if eval.as_ref().ok() != Some(&case["eval"]) {
        return told("eval", &eval, &case["eval"]);
    }
    let text = answer(&|template| template.text(&scope).map(Value::from));
    if text.as_ref().ok() != Some(&case["text"]) {
        return told("text", &text, &case["text"]);
    }
    None
}

#[test]
fn answers_are_those_of_the_reference() {
    let cases: Vec<Value> = TABLE.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(cases.len() >= 150, "the table has {} templates", cases.len());
    let different: Vec<String> = cases.iter().filter_map(difference).collect();
    assert!(different.is_empty(), "{} of {} differ:\n{}", different.len(), cases.len(), different.join("\n"));
}

#[test]
fn the_names_a_template_reads_are_known_before_it_runs() {
    let names = |source: &str| Template::compile(source).unwrap().names().iter().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(names("{{ record['a'] }}"), "record");
    assert_eq!(names("{{ record.a + config.b|int }} {{ now_utc() }}"), "config record");
    assert_eq!(
        names("{% for x in record.tags %}{{ x }}{{ y }}{% endfor %}{% set z = config.a %}{{ z }}"),
        "config record y"
    );
    assert_eq!(names("plain"), "");
    assert!(Template::compile("plain").unwrap().is_literal());
    assert!(!Template::compile("{{ 1 }}").unwrap().is_literal());
}

#[test]
fn an_unbound_name_is_an_error_that_names_it() {
    let scope = Scope::new(now()).with("config", json!({}));
    for source in ["{{ record.a }}", "{{ record }}-", "{% if record %}{% endif %}", "{{ record is defined }}"] {
        let error = Template::compile(source).unwrap().eval(&scope).unwrap_err();
        assert!(error.message.contains("`record`"), "{error}");
    }
}

#[test]
fn names_of_the_older_dialect_mean_the_slice_unless_bound_themselves() {
    let scope = Scope::new(now()).with("stream_slice", json!({"id": 1}));
    assert_eq!(eval("{{ stream_partition.id }}{{ stream_interval.id }}", &scope), json!(11));
    let scope = scope.with("stream_partition", json!({"id": 2}));
    assert_eq!(eval("{{ stream_partition.id }}{{ stream_interval.id }}", &scope), json!(21));
}

#[test]
fn what_compiling_can_find_it_finds() {
    for (source, named) in [
        ("{{ a|nope }}", "`nope`"),
        ("{{ a is nope }}", "`nope`"),
        ("{% include 'x' %}", "`include`"),
        ("{{ stream_state.x }}", "`stream_state`"),
        ("{{ a", "`}}`"),
        ("{{ (a }}", "`}}`"),
        ("{{ a b }}", "`b`"),
        ("{{ client_secret) }}", "`)`"),
    ] {
        let error = Template::compile(source).unwrap_err();
        assert!(error.message.contains(named), "{source}: {error}");
    }
    let long = "x".repeat(MANIFEST_TEMPLATE_BYTES_MAX + 1);
    assert_eq!(Template::compile(&long).unwrap_err().kind, ExprErrorKind::TooLong);
}

#[test]
fn renderings_stay_within_their_limits() {
    let items: Vec<u32> = (0..2_000).collect();
    let scope = Scope::new(now()).with("record", json!({"items": items, "text": "x".repeat(2_000)}));
    let kind = |source: &str| Template::compile(source).unwrap().eval(&scope).unwrap_err().kind;
    let twice = "{% for a in record['items'] %}{% for b in record['items'] %}{% endfor %}{% endfor %}";
    assert_eq!(kind(twice), ExprErrorKind::Fuel);
    let wide = format!("{{{{ 'x' * {} }}}}", RENDERED_BYTES_MAX + 1);
    assert_eq!(kind(&wide), ExprErrorKind::Eval);
    assert_eq!(kind("{% for a in record['items'] %}{{ record.text }}{% endfor %}"), ExprErrorKind::Eval);
    assert_eq!(kind("{{ 'a'.replace('a', record.text).replace('x', record.text) }}"), ExprErrorKind::Eval);
    assert_eq!(kind("{{ '%9999d' % 1 }}"), ExprErrorKind::Eval);
    assert_eq!(kind("{{ [[0] * 9999] * 9999 }}"), ExprErrorKind::Eval);
    assert_eq!(kind("{{ [[[0] * 9999] * 9999] ~ 'x' }}"), ExprErrorKind::Eval);
    let doubled = "{% set a = [a, a] %}".repeat(60);
    assert_eq!(kind(&format!("{{% set a = [1] %}}{doubled}{{{{ a }}}}")), ExprErrorKind::Eval);
    let deep = "{% set n = namespace(a=[]) %}{% for x in record['items'] %}{% set n.a = [n.a] %}{% endfor %}{{ n.a }}";
    assert_eq!(kind(deep), ExprErrorKind::Eval);
}

#[test]
fn identifiers_are_drawn_from_the_seed() {
    let scope = Scope::new(now());
    let draw = |seed: u64| eval("{{ generate_uuid() }} {{ generate_uuid() }}", &scope.clone().with_seed(seed));
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
    let drawn = draw(7);
    let (first, second) = drawn.as_str().unwrap().split_once(' ').unwrap();
    assert_ne!(first, second);
    assert_eq!((first.len(), &first[14..15]), (36, "4"));
}

#[test]
fn json_is_read_where_a_template_asks() {
    let scope = Scope::new(now()).with("config", json!({"key": "{\"a\": {\"b\": 3}}"}));
    assert_eq!(eval("{{ json_loads(config['key'])['a']['b'] }}", &scope), json!(3));
}

#[test]
fn a_mismatch_lets_a_condition_hold_and_a_value_fail() {
    let scope = Scope::new(now()).with("record", json!({"n": null}));
    let template = Template::compile("{{ record['n'] > 3 }}").unwrap();
    assert_eq!(template.is_true(&scope), Ok(true));
    assert_eq!(template.eval(&scope).unwrap_err().kind, ExprErrorKind::Mismatch);
}

#[test]
fn binding_shares_what_is_bound() {
    let record = Arc::new(json!({"a": {"b": [1, 2]}}));
    let scope = Scope::new(now()).with("record", Arc::clone(&record));
    assert_eq!(eval("{{ record.a.b|last }}", &scope), json!(2));
    drop(scope);
    assert_eq!(Arc::strong_count(&record), 1, "nothing is kept of a scope");
}

#[test]
fn texts_that_are_no_literals_stay_texts() {
    for text in
        ["hello", "01234", "2024-01-01", "a, b", "1 + 2", "f()", "{", "[1", "'a", "b'x'", "1j", "[", &"[".repeat(500)]
    {
        assert_eq!(literal(text), None, "{text}");
    }
    assert_eq!(literal("[1, ('a', None), {'k': -2.5}]"), Some(json!([1, ["a", null], {"k": -2.5}])));
}
