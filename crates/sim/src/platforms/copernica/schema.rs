//! Databases with their fields, interests and collections. Names are found whatever their capitals. It must not
//! hold profiles.

use super::answers::{changed, created, deleted, page, refusal};
use super::{Copernica, Place};
use crate::platforms::{Answer, Call};
use http::StatusCode;
use serde_json::{Value, json};

/// A field of a database or collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) default: String,
}

/// An interest that profiles of a database may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interest {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) group: String,
}

/// Child rows of profiles.
#[derive(Clone, Debug)]
pub struct Collection {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
}

/// A database of profiles.
#[derive(Clone, Debug)]
pub struct Database {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
    pub(super) interests: Vec<Interest>,
    pub(super) collections: Vec<Collection>,
}

impl Database {
    /// The collection that is there from the beginning.
    pub const ORDERS: u64 = 21;

    pub(super) fn members() -> Self {
        let fields = ["email", "firstname", "lastname", "city", "customer_id"];
        let interests = ["rowing", "football", "chess", "sailing", "running"];
        let orders = [Field::new(131, "number", "text"), Field::new(132, "total", "float")];
        Self {
            id: Copernica::DATABASE,
            name: "Members".to_owned(),
            fields: (101..).zip(fields).map(|(id, name)| Field::new(id, name, kind_of(name))).collect(),
            interests: (201..).zip(interests).map(|(id, name)| Interest::new(id, name)).collect(),
            collections: vec![Collection { id: Self::ORDERS, name: "Orders".to_owned(), fields: orders.into() }],
        }
    }

    /// The field of a name.
    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        field(&self.fields, name)
    }

    pub(super) fn collection(&self, name_or_id: &str) -> Option<&Collection> {
        self.collections.iter().find(|it| it.id.to_string() == name_or_id || it.name.eq_ignore_ascii_case(name_or_id))
    }

    fn shown(&self) -> Value {
        json!({"ID": self.id.to_string(), "name": self.name, "description": "", "archived": false})
    }
}

fn kind_of(name: &str) -> &'static str {
    match name {
        "email" => "email",
        "customer_id" => "integer",
        _ => "text",
    }
}

/// The field of a name among some.
pub(super) fn field<'f>(fields: &'f [Field], name: &str) -> Option<&'f Field> {
    fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))
}

impl Field {
    fn new(id: u64, name: &str, kind: &str) -> Self {
        Self { id, name: name.to_owned(), kind: kind.to_owned(), default: String::new() }
    }

    fn shown(&self) -> Value {
        json!({
            "ID": self.id.to_string(), "name": self.name, "type": self.kind, "value": self.default,
            "displayed": true, "ordered": false, "length": "255", "textlines": "1", "hidden": false, "index": false,
        })
    }
}

impl Interest {
    fn new(id: u64, name: &str) -> Self {
        Self { id, name: name.to_owned(), group: String::new() }
    }

    pub(super) fn shown(&self) -> Value {
        json!({"ID": self.id.to_string(), "name": self.name, "group": self.group})
    }
}

impl Copernica {
    /// The id of a database that a path names by id or name.
    pub(super) fn database_id(&self, name_or_id: &str) -> Result<u64, Answer> {
        let found = self
            .databases
            .values()
            .find(|database| database.id.to_string() == name_or_id || database.name.eq_ignore_ascii_case(name_or_id));
        found.map(|database| database.id).ok_or_else(|| refusal("No database with supplied ID"))
    }

    pub(super) fn database(&self, id: u64) -> Result<&Database, Answer> {
        self.databases.get(&id).ok_or_else(|| refusal("No database with supplied ID"))
    }

    fn database_mut(&mut self, id: u64) -> Result<&mut Database, Answer> {
        self.databases.get_mut(&id).ok_or_else(|| refusal("No database with supplied ID"))
    }

    /// The collection of an id, or of a name in some database.
    pub(super) fn collection(&self, name_or_id: &str) -> Result<&Collection, Answer> {
        let found = self.databases.values().find_map(|database| database.collection(name_or_id));
        found.ok_or_else(|| refusal("No collection with given ID"))
    }

    pub(super) fn list_databases(&self, call: &Call) -> Answer {
        page(call, &Vec::from_iter(self.databases.values()), |database| database.shown())
    }

    pub(super) fn get_database(&self, id: u64) -> Result<Answer, Answer> {
        Ok(Answer::json(StatusCode::OK, &self.database(id)?.shown()))
    }

    pub(super) fn list_fields(&self, call: &Call, database: u64) -> Result<Answer, Answer> {
        Ok(page(call, &self.database(database)?.fields, Field::shown))
    }

    pub(super) fn list_interests(&self, call: &Call, database: u64) -> Result<Answer, Answer> {
        Ok(page(call, &self.database(database)?.interests, Interest::shown))
    }

    pub(super) fn list_collections(&self, call: &Call, database: u64) -> Result<Answer, Answer> {
        Ok(page(
            call,
            &self.database(database)?.collections,
            |collection| json!({"ID": collection.id.to_string(), "name": collection.name, "database": database.to_string()}),
        ))
    }

    pub(super) fn create_field(&mut self, place: &Place<'_>, database: u64) -> Result<Answer, Answer> {
        let body = place.body()?;
        let name =
            body["name"].as_str().filter(|name| !name.is_empty()).ok_or_else(|| refusal("Invalid data provided"))?;
        let id = self.fresh_id();
        let mut field = Field::new(id, name, body["type"].as_str().unwrap_or("text"));
        field.default = body["value"].as_str().unwrap_or_default().to_owned();
        self.database_mut(database)?.fields.push(field);
        Ok(created(place.call, place.version, "field", id))
    }

    pub(super) fn create_interest(&mut self, place: &Place<'_>, database: u64) -> Result<Answer, Answer> {
        let body = place.body()?;
        let name =
            body["name"].as_str().filter(|name| !name.is_empty()).ok_or_else(|| refusal("Invalid data provided"))?;
        let id = self.fresh_id();
        let mut interest = Interest::new(id, name);
        interest.group = body["group"].as_str().unwrap_or_default().to_owned();
        self.database_mut(database)?.interests.push(interest);
        Ok(created(place.call, place.version, "interest", id))
    }

    pub(super) fn route_interest(&mut self, place: &Place<'_>, id: &str) -> Result<Answer, Answer> {
        let body = place.body()?;
        let databases = self.databases.values_mut();
        let interests = databases.map(|database| &mut database.interests);
        let found = interests.into_iter().find(|all| all.iter().any(|interest| interest.id.to_string() == id));
        let all = found.ok_or_else(|| refusal("No entity with supplied ID"))?;
        match place.call.method.as_str() {
            "DELETE" => {
                all.retain(|interest| interest.id.to_string() != id);
                Ok(deleted(place.version, "interest", id.parse().unwrap_or(0)))
            }
            "PUT" | "POST" => {
                for interest in all.iter_mut().filter(|interest| interest.id.to_string() == id) {
                    interest.name = body["name"].as_str().unwrap_or(&interest.name).to_owned();
                    interest.group = body["group"].as_str().unwrap_or(&interest.group).to_owned();
                }
                Ok(changed(place.version))
            }
            _ => Err(refusal("Invalid method")),
        }
    }

    pub(super) fn route_collection(&self, place: &Place<'_>, id: &str, path: &[&str]) -> Result<Answer, Answer> {
        let collection = self.collection(id)?;
        match (place.call.method.as_str(), path) {
            ("GET", []) => {
                let shown = json!({"ID": collection.id.to_string(), "name": collection.name});
                Ok(Answer::json(StatusCode::OK, &shown))
            }
            ("GET", ["fields", ..]) => Ok(page(place.call, &collection.fields, Field::shown)),
            _ => Err(refusal("Invalid method")),
        }
    }
}

impl Place<'_> {
    /// The body as an object.
    pub(super) fn body(&self) -> Result<Value, Answer> {
        self.call.data().filter(Value::is_object).ok_or_else(|| refusal("Invalid data provided"))
    }
}
