//! What mappings do, case by case, and that what is written reads back as what was wanted.

use super::*;
use crate::schema::Schema;
use proptest::prelude::*;
use serde_json::json;

fn compiled(said: &Value) -> Compiled {
    let schema = Schema::ready_made();
    Mapping::parse(said).unwrap().compile(schema.shape("contact").unwrap()).unwrap()
}

fn fields(value: Value) -> Fields {
    let Value::Object(fields) = value else { panic!("an object") };
    fields
}

/// A mapping with a bit of everything.
fn rich() -> Compiled {
    compiled(&json!({
        "email": "email",
        "firstName": {"path": "name.first", "max_length": 5},
        "interests": {"path": "interests", "codec": "strings", "set": "merge"},
        "birthDate": {"path": "born", "codec": ["strings", {"kind": "date", "format": "%d/%m/%Y"}]},
        "phone": {"path": "phone", "cleared": ""},
        "isLead": {"path": "lead", "codec": {"kind": "words", "of": {"true": "1", "false": "0"}}},
        "language": {"path": "lang", "create_only": true, "default": "nl"},
        "organizationId": {"path": "orgid", "reference": "account"},
        "title": {"path": "salutation", "in": "value|lower", "out": "value|upper"},
        "notes": {"in": "object.name.first ~ '!' if object.name.first else none", "only": "in"},
        "@source": {"out": "'lockstep ' ~ record.email"},
    }))
}

#[test]
fn an_object_says_what_it_says_and_no_more() {
    let mapping = rich();
    let object = json!({
        "email": "ANN@b.nl", "born": ["31/01/1990"], "lead": "1", "orgid": 7, "salutation": "MS", "interests": [],
        "phone": "", "name": {"first": "Ann"}, "other": 1,
    });
    let found = mapping.inward(&object);
    let expected = json!({
        "email": "ann@b.nl", "birthDate": "1990-01-31", "isLead": true, "title": "ms", "interests": null, "phone": null,
        "firstName": "Ann", "notes": "Ann!",
    });
    assert_eq!((Value::Object(found.values), found.problems), (expected, Vec::new()));
    assert_eq!(found.references["organizationId"], ("account".to_owned(), "7".to_owned()));

    let partial = mapping.inward(&json!({"email": "no address", "born": ["soon"], "orgid": ""}));
    assert_eq!(Value::Object(partial.values), json!({"organizationId": null}));
    let pointers: Vec<_> = partial.problems.iter().filter_map(|problem| problem.pointer.as_deref()).collect();
    assert_eq!(pointers, ["/birthDate", "/email"]);
}

#[test]
fn a_record_is_told_in_the_form_that_survives() {
    let mapping = rich();
    let record = fields(json!({
        "email": "ann@b.nl", "firstName": "Marianne", "birthDate": "1990-01-31", "isLead": false, "title": "ms",
        "interests": ["rowing"], "organizationId": "rec_1",
    }));
    let wanted = mapping.outward(&record, &BTreeMap::from([("organizationId".to_owned(), "7".to_owned())]));
    let expected = json!({
        "@source": "lockstep ann@b.nl", "birthDate": "1990-01-31", "email": "ann@b.nl", "firstName": "Maria",
        "interests": ["rowing"], "isLead": false, "language": "nl", "organizationId": "7", "phone": null, "title": "MS",
    });
    assert_eq!((Value::Object(wanted.values.clone()), wanted.problems), (expected, Vec::new()));
    let object = mapping.object(&wanted.values, None);
    let expected = json!({
        "email": "ann@b.nl", "name": {"first": "Maria"}, "interests": ["rowing"], "born": ["31/01/1990"], "phone": "",
        "lead": "0", "lang": "nl", "orgid": "7", "salutation": "MS", "source": "lockstep ann@b.nl",
    });
    assert_eq!(object, expected);
    let mut shown = mapping.shown(&object);
    assert_eq!(shown.remove("notes"), Some(json!("Maria!")), "what only comes in is in the shadow too");
    assert_eq!(shown, wanted.values);
    assert_eq!(mapping.object(&wanted.values, Some(&["isLead".to_owned()])), json!({"lead": "0"}));

    let missing = mapping.outward(&record, &BTreeMap::new());
    assert_eq!(missing.missing, ["organizationId"]);
    assert!(!missing.values.contains_key("organizationId"));
}

#[test]
fn only_real_differences_are_written() {
    let mapping = rich();
    let shown = fields(json!({
        "email": "ann@b.nl", "interests": ["chess", "rowing"], "phone": "", "language": "en", "title": "MS",
        "isLead": true,
    }));
    let wanted = fields(json!({
        "email": "ann@b.nl", "interests": ["rowing"], "phone": null, "language": "nl", "title": "MS", "isLead": false,
        "firstName": null,
    }));
    assert_eq!(mapping.differing(&wanted, &shown, false), ["isLead"]);
    assert_eq!(mapping.differing(&wanted, &shown, true), ["isLead", "language"]);
    let more = fields(json!({"interests": ["go", "rowing"]}));
    assert_eq!(mapping.differing(&more, &shown, false), ["interests"]);
}

#[test]
fn an_object_that_says_all_clears_what_it_leaves_out() {
    let mapping = compiled(&json!({"email": "email", "city": "place.city"}));
    let object = mapping.completed(json!({"email": "ann@b.nl"}));
    assert_eq!(Value::Object(mapping.inward(&object).values), json!({"email": "ann@b.nl", "city": null}));
    let group = ["email".to_owned()];
    assert_eq!(
        mapping.group(&group, &fields(json!({"email": "a@b.nl"}))),
        Some(vec![("email".into(), json!("a@b.nl"))])
    );
    assert_eq!(mapping.group(&group, &Fields::new()), None);
}

#[test]
fn a_mapping_that_does_not_fit_is_refused_with_its_places() {
    let parsed = |said: Value| Mapping::parse(&said).unwrap_err();
    let told = parsed(json!({"email": {"pth": "email"}, "x": 1, "y": {"path": "y", "codec": {"kind": "tme"}}}));
    let told: Vec<String> =
        told.iter().map(|one| format!("{} {}", one.pointer.as_deref().unwrap(), one.message)).collect();
    assert!(told[0].starts_with("/email/pth there is nothing called \"pth\" here; did you mean path?"), "{told:?}");
    assert!(told[1].starts_with("/x an entry is a remote path"), "{told:?}");
    assert!(told[2].starts_with("/y/codec/kind `kind` is one of strings"), "{told:?}");

    let schema = Schema::ready_made();
    let shape = schema.shape("contact").unwrap();
    for (said, pointer, part) in [
        (json!({"emial": "email"}), "/emial", "did you mean email?"),
        (json!({"email": {"path": "e", "in": "value|lower"}}), "/email", "needs `out`"),
        (json!({"email": {"in": "object.e"}}), "/email", "it needs `path`"),
        (json!({"email": {"path": "e", "out": "1 +"}}), "/email", "1 +"),
        (json!({"email": {"path": "e", "default": "nobody"}}), "/email", "the default is"),
        (json!({"email": {"path": "e", "set": "merge"}}), "/email", "is for sets"),
        (json!({"organizationId": "orgid"}), "/organizationId", "name the remote object"),
        (json!({"email": {"path": "e", "reference": "account"}}), "/email", "only a field that refers"),
        (json!({"@source": "source"}), "/@source", "needs `out`"),
    ] {
        let wrong = Mapping::parse(&said).unwrap().compile(shape).unwrap_err();
        assert_eq!(wrong[0].pointer.as_deref(), Some(pointer));
        assert!(wrong[0].message.contains(part), "{}", wrong[0].message);
    }
}

#[test]
fn a_mapping_is_kept_as_it_was_written() {
    let said = json!({
        "email": "email",
        "city": {"path": "a.b", "codec": ["strings", {"kind": "time", "format": "%H", "zone": "Europe/Amsterdam"}],
                 "max_length": 5, "case": "lower", "cleared": "", "create_only": true, "default": "x"},
        "tags": {"path": "t", "set": "merge", "codec": {"kind": "split", "by": ";"}},
        "title": {"path": "s", "in": "value", "only": "in"},
        "@x.y": {"out": "1", "time": "second", "scale": 2},
    });
    let mapping = Mapping::parse(&said).unwrap();
    assert_eq!(mapping.to_value(), said);
    let kept: Mapping = serde_json::from_value(serde_json::to_value(&mapping).unwrap()).unwrap();
    assert_eq!(kept, mapping);
}

proptest! {
    /// Whatever a record holds, the object made of it shows what was wanted.
    #[test]
    fn what_is_written_reads_back_as_what_was_wanted(
        first in "\\PC{0,12}", interests in proptest::collection::vec("\\PC{0,6}", 0..4), is_lead: bool, day in 0_i64..20_000,
    ) {
        let mapping = rich();
        let born = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(day)).unwrap().to_string();
        let mut record = Fields::new();
        for (name, kind, value) in [
            ("firstName", Kind::String, json!(first)),
            ("interests", Kind::Set, json!(interests)),
            ("isLead", Kind::Boolean, json!(is_lead)),
            ("birthDate", Kind::Date, json!(born)),
        ] {
            if let Ok(value) = kind.check(value) {
                record.insert(name.to_owned(), value);
            }
        }
        let wanted = mapping.outward(&record, &BTreeMap::new());
        let shown = mapping.shown(&mapping.object(&wanted.values, None));
        prop_assert_eq!(mapping.differing(&wanted.values, &shown, true), Vec::<String>::new());
        prop_assert_eq!(mapping.outward(&record, &BTreeMap::new()).values, wanted.values);
    }
}

#[test]
fn a_merged_set_written_whole_keeps_what_is_there() {
    let mapping = rich();
    let wanted = fields(json!({"interests": ["rowing"], "email": "ann@b.nl"}));
    let joined = mapping.joined(wanted.clone(), &fields(json!({"interests": ["chess", "rowing"], "email": "b@b.nl"})));
    assert_eq!(Value::Object(joined), json!({"interests": ["rowing", "chess"], "email": "ann@b.nl"}));
    let nothing = fields(json!({"interests": null}));
    let joined = mapping.joined(nothing, &fields(json!({"interests": ["chess"]})));
    assert_eq!(Value::Object(joined), json!({"interests": ["chess"]}));
    assert_eq!(mapping.joined(wanted.clone(), &Fields::new()), wanted);
}
