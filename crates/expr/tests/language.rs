//! The language as its users meet it: one scope, many expressions.

use lockstep_expr::{Expr, ExprError, ExprErrorKind, SOURCE_BYTES_MAX};
use serde_json::{Map, Value, json};

fn scope() -> Map<String, Value> {
    let value = json!({
        "email": "Ann@Example.org", "age": 41, "zero": 0, "nothing": null, "opt-in": "yes",
        "tags": ["a", "b", null], "address": {"city": "Ede", "zip": null}, "score": 2.5, "notes": "",
    });
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn eval(source: &str) -> Result<Value, ExprError> {
    Expr::compile(source)?.eval(&scope())
}

#[track_caller]
fn check(source: &str, expected: Value) {
    assert_eq!(eval(source), Ok(expected), "{source}");
}

#[track_caller]
fn check_error(source: &str, kind: ExprErrorKind) -> ExprError {
    let error = eval(source).expect_err(source);
    assert_eq!(error.kind, kind, "{source}: {error}");
    error
}

#[test]
fn values_come_out_as_they_went_in() {
    check("age + 1", json!(42));
    check("score * 2", json!(5.0));
    check("address", json!({"city": "Ede", "zip": null}));
    check("[email, nothing]", json!(["Ann@Example.org", null]));
    check("{'city': address.city}", json!({"city": "Ede"}));
    check("email if age > 18 else none", json!("Ann@Example.org"));
    check("tags|join('-')", json!("a-b"));
    check("email[0:3]", json!("Ann"));
}

#[test]
fn truth_is_what_is_there() {
    for (source, expected) in [
        ("email", true),
        ("zero", false),
        ("nothing", false),
        ("missing", false),
        ("notes", false),
        ("tags", true),
        ("address.zip", false),
        ("not missing", true),
        ("tags|length > 1", true),
        ("fields['opt-in'] == 'yes'", true),
        ("'opt-in' in fields", true),
        ("fields['opt-in']|upper == 'YES'", true),
    ] {
        assert_eq!(Expr::compile(source).unwrap().is_true(&scope()), Ok(expected), "{source}");
    }
}

#[test]
fn missing_and_null_are_alike_and_never_an_error_in_a_condition() {
    for name in ["nothing", "missing", "address.zip", "address.missing.deep", "missing.a.b"] {
        check(&format!("{name} == none"), json!(true));
        check(&format!("{name} is none and {name} is not defined"), json!(true));
        for mark in ["<", "<=", ">", ">="] {
            check(&format!("{name} {mark} 5 or 5 {mark} {name} or {name} {mark} none"), json!(false));
        }
        check(&format!("{name}|default('x')"), json!("x"));
        check(&format!("{name}.lower()"), json!(null));
        check(&format!("{name}.startswith('a') or 'a' in {name}"), json!(false));
        check(&format!("'<' ~ {name} ~ '>'"), json!("<>"));
    }
}

#[test]
fn order_is_between_like_and_like() {
    check("18 <= age < 65", json!(true));
    check("18 <= age < 41", json!(false));
    check("not age < 18 and score >= 2.5", json!(true));
    check("email > 5 or email < 5", json!(false));
    check("'2024-01-01' < '2024-02-01'", json!(true));
    check("[1, 9, 3]|select('gt', 2)|list", json!([9, 3]));
    check("-1 < zero and zero > -1", json!(true));
}

#[test]
fn texts_have_the_methods_people_expect() {
    check("email.lower().endswith('.org')", json!(true));
    check("' x '.strip().upper()", json!("X"));
    check("email.split('@')[1]", json!("Example.org"));
    check("address.get('city') ~ address.get('x', '?')", json!("Ede?"));
    check("address.keys()", json!(["city", "zip"]));
    check_error("email.explode()", ExprErrorKind::Eval);
}

#[test]
fn only_named_fields_are_seen() {
    let expr = Expr::compile("fields['opt-in'] ~ email").unwrap();
    let names: Vec<&str> = expr.names().iter().map(String::as_str).collect();
    assert_eq!(names, ["email", "opt-in"]);
    assert_eq!(expr.source(), "fields['opt-in'] ~ email");
    // Escapes hide a name from the scan, so the scope is announced as open.
    assert!(Expr::compile(r"fields['\u0061']").unwrap().names().contains("fields"));
    // Words the engine would take for names are not in the scope at all.
    let Value::Object(odd) = json!({"is": "secret"}) else { unreachable!() };
    assert_ne!(Expr::compile("is[0:3]").and_then(|e| e.eval(&odd)), Ok(json!("sec")));
}

#[test]
fn errors_name_the_line_and_the_way_out() {
    let error = check_error("age +\n+ +", ExprErrorKind::Parse);
    assert_eq!(error.line, Some(2));
    assert!(error.to_string().contains("Jinja expression"), "{error}");
    check_error("age ! 3", ExprErrorKind::Parse);
    check_error("(age", ExprErrorKind::Parse);
    check_error("age)", ExprErrorKind::Parse);
    check_error("", ExprErrorKind::Parse);
    check_error("email + age", ExprErrorKind::Eval);
    check_error("email|nosuchfilter", ExprErrorKind::Eval);
    check_error(&"a".repeat(SOURCE_BYTES_MAX + 1), ExprErrorKind::TooLong);
}

#[test]
fn no_expression_runs_long_or_grows_large() {
    let long = vec!["age"; 900].join("+");
    check_error(&long, ExprErrorKind::Fuel);
    check_error(&format!("range(900)|list == [{}]", vec!["age"; 1000].join(",")), ExprErrorKind::Fuel);
    check_error("range(100000)", ExprErrorKind::Eval);
    check_error("email * 10000000", ExprErrorKind::Eval);
    check_error("10000000 * 'x'", ExprErrorKind::Eval);
    check_error("tags * 1000", ExprErrorKind::Eval);
    check_error("'x'|indent(100000000) ~ 'y'|batch(100000000, 1)|list", ExprErrorKind::Eval);
    let bomb = format!("'x'{}", "|replace('x','xxxxxxxxxx')".repeat(40));
    check_error(&bomb, ExprErrorKind::Eval);
    let quotes = format!("'\"'{}", "|tojson".repeat(400));
    check_error(&quotes, ExprErrorKind::Eval);
    let coded = format!("'x'{}", "|base64encode".repeat(60));
    check_error(&coded, ExprErrorKind::Eval);
}

#[test]
fn texts_are_written_in_base64_and_read_again() {
    for (source, expected) in [
        ("'??>>é'|base64encode", json!("Pz8+PsOp")),
        ("'??>>é'|base64url", json!("Pz8-PsOp")),
        ("[['email', '=', email]]|tojson|base64url", json!("W1siZW1haWwiLCI9IiwiQW5uQEV4YW1wbGUub3JnIl1d")),
        ("'a'|base64url", json!("YQ==")),
        ("''|base64encode", json!("")),
        ("missing|base64encode", json!(null)),
        ("nothing|base64decode", json!(null)),
        ("'Pz8+PsOp'|base64decode", json!("??>>é")),
        ("'Pz8-PsOp'|base64decode", json!("??>>é")),
    ] {
        check(source, expected);
    }
    let error = check_error("tags|base64encode", ExprErrorKind::Eval);
    assert!(error.to_string().contains("tojson"), "{error}");
    for odd in ["'%'|base64decode", "'/w=='|base64decode", "age|base64decode"] {
        check_error(odd, ExprErrorKind::Eval);
    }
}

#[test]
fn deep_nesting_is_refused_before_it_can_exhaust_the_stack() {
    for (open, close) in [("(", ")"), ("[", "]"), ("a[", "]")] {
        let source = format!("{}1{}", open.repeat(1_300), close.repeat(1_300));
        check_error(&source, ExprErrorKind::Parse);
    }
    for sign in ["-", "not ", "1 if 1 else ", "1**", "'x' is lt -"] {
        let source = sign.repeat(SOURCE_BYTES_MAX / sign.len() - 1) + "1";
        drop(Expr::compile(&source).and_then(|expr| expr.eval(&scope())));
    }
}

#[test]
fn an_expression_may_be_shared_between_threads() {
    fn is_shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    is_shared(&Expr::compile("age > 1").unwrap());
}
