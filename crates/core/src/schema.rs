//! Types of record: the ready-made ones, their fields and collection keys.
//!
//! The table below is the whole of it: one line a type, one word a field. Field names follow what the Data API
//! and Connec! call them, in camel case.

use crate::command::MatchGroup;
use crate::error::{Code, Rejection, shown};
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::rules::scope::Reach;
use std::collections::{BTreeMap, BTreeSet};

/// A field of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its id: 1–64 letters, digits, `_`, `-`.
    pub id: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// The shape of a type.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The type's id.
    pub id: TypeId,
    /// Its name for many, as in `{"people": […]}`.
    pub collection: &'static str,
    /// Its fields, by id.
    pub fields: BTreeMap<&'static str, Field>,
    /// Groups of fields that a record can be recognised by, all fields of one together.
    pub match_groups: &'static [&'static [&'static str]],
    /// The fields that are looked up: the first of each group.
    pub match_fields: Vec<&'static str>,
}

impl Shape {
    /// The field of this id.
    ///
    /// # Errors
    /// `unknown_field`, naming the nearest one there is.
    pub fn field(&self, id: &str) -> Result<&Field, Rejection> {
        self.field_within(id, &Reach::everything())
    }

    /// The field of this id, to someone from whom some may be hidden: those are as unknown as any other.
    ///
    /// # Errors
    /// `unknown_field`, naming the nearest one that may be seen.
    pub fn field_within(&self, id: &str, reach: &Reach) -> Result<&Field, Rejection> {
        self.fields.get(id).filter(|_| !reach.hides(id)).ok_or_else(|| {
            let seen: Vec<_> = self.fields.keys().copied().filter(|field| !reach.hides(field)).collect();
            let hint = nearest(id, seen.iter().copied());
            let text = format!("{} has no field {}{}; its fields are {}", self.id, shown(id), hint, seen.join(", "));
            Rejection::new(Code::UnknownField, text).at_field(id)
        })
    }
}

impl Shape {
    /// The group that a caller names as its fields with commas between, in any order.
    ///
    /// # Errors
    /// `unknown_match_group`, naming those that are declared and that the caller may use.
    pub fn match_group(&self, text: &str, reach: &Reach) -> Result<MatchGroup, Rejection> {
        let asked: BTreeSet<&str> = text.split(',').map(str::trim).collect();
        let open = self.match_groups.iter().filter(|group| !group.iter().any(|field| reach.hides(field)));
        let found = open.clone().find(|group| group.iter().copied().collect::<BTreeSet<_>>() == asked);
        if let Some(group) = found {
            return Ok(group.iter().map(|&field| field.to_owned()).collect());
        }
        let known: Vec<String> = open.map(|group| group.join(",")).collect();
        let known = match known.is_empty() {
            true => "declares none".to_owned(),
            false => format!("declares {}", known.join(" | ")),
        };
        let text = format!("{} is no match group of {}: it {known}", shown(text), self.id);
        Err(Rejection::new(Code::UnknownMatchGroup, text))
    }
}

fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|id| (strsim::jaro_winkler(&word.to_lowercase(), &id.to_lowercase()), id))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, id)| format!(" (did you mean {id}?)"))
        .unwrap_or_default()
}

/// The types that a business knows.
#[derive(Clone, Debug)]
pub struct Schema {
    shapes: BTreeMap<TypeId, Shape>,
}

impl Schema {
    /// The ready-made types.
    #[must_use]
    pub fn ready_made() -> Self {
        let shapes = READY_MADE.iter().filter_map(|(id, collection, fields)| {
            let id = TypeId::parse(id).ok()?;
            let fields = fields.split_whitespace().filter_map(parse_field).map(|field| (field.id, field)).collect();
            let declared = MATCH_GROUPS.iter().find(|(ty, _)| *ty == id.as_str());
            let match_groups = declared.map_or(&[][..], |(_, groups)| groups);
            let mut match_fields: Vec<_> = match_groups.iter().filter_map(|group| group.first().copied()).collect();
            match_fields.sort_unstable();
            match_fields.dedup();
            Some((id.clone(), Shape { id, collection, fields, match_groups, match_fields }))
        });
        Self { shapes: shapes.collect() }
    }

    /// The shape of a type.
    ///
    /// # Errors
    /// `unknown_type`, naming the nearest one there is.
    pub fn shape(&self, ty: &str) -> Result<&Shape, Rejection> {
        self.shapes.get(ty).ok_or_else(|| {
            let hint = nearest(ty, self.shapes.keys().map(TypeId::as_str));
            let known = self.shapes.keys().map(TypeId::as_str).collect::<Vec<_>>().join(", ");
            Rejection::new(Code::UnknownType, format!("there is no type {}{hint}; the types are {known}", shown(ty)))
        })
    }

    /// Every shape, by type.
    pub fn shapes(&self) -> impl Iterator<Item = &Shape> {
        self.shapes.values()
    }
}

/// Reads `name:kind`; a name alone is a string.
fn parse_field(word: &'static str) -> Option<Field> {
    let (id, kind) = word.split_once(':').unwrap_or((word, "string"));
    let kind = match kind {
        "string" => Kind::String,
        "text" => Kind::Text,
        "integer" => Kind::Integer,
        "decimal" => Kind::Decimal,
        "boolean" => Kind::Boolean,
        "date" => Kind::Date,
        "datetime" => Kind::Datetime,
        "email" => Kind::Email,
        "phone" => Kind::Phone,
        "url" => Kind::Url,
        "list" => Kind::List,
        "set" => Kind::Set,
        "object" => Kind::Object,
        "file" => Kind::File,
        "status" => Kind::Enum(&["ACTIVE", "ARCHIVED"]),
        reference => Kind::Reference(TypeId::parse(reference.strip_prefix('>')?).ok()?),
    };
    Some(Field { id, kind })
}

/// What records of each type are recognised by. Each first field costs a row a record.
const MATCH_GROUPS: &[(&str, &[&[&str]])] = &[
    ("contact", &[&["email"], &["phone"], &["email", "phone"]]),
    ("organization", &[&["email"], &["vatNumber"]]),
    ("agent", &[&["email"]]),
    ("employee", &[&["email"]]),
    ("item", &[&["code"]]),
    ("account", &[&["code"]]),
    ("invoice", &[&["number"]]),
    ("quote", &[&["number"]]),
    ("order", &[&["number"]]),
];

const READY_MADE: &[(&str, &str, &str)] = &[
    (
        "contact",
        "people",
        "code status:status title firstName lastName email:email email2:email phone:phone mobile:phone jobTitle \
         birthDate:date gender language timezone website:url street city region postalCode country \
         organizationId:>organization agentId:>agent isCustomer:boolean isSupplier:boolean isLead:boolean \
         leadStatus opt-in:boolean interests:set tags:set notes:text custom:object picture:file",
    ),
    (
        "organization",
        "organizations",
        "code status:status name legalName email:email phone:phone website:url industry vatNumber \
         numberOfEmployees:integer street city region postalCode country currency isCustomer:boolean \
         isSupplier:boolean parentId:>organization agentId:>agent tags:set notes:text custom:object",
    ),
    (
        "agent",
        "agents",
        "code status:status firstName lastName email:email phoneNumber:phone jobTitle picture:file tags:set \
         notes:text custom:object",
    ),
    (
        "employee",
        "employees",
        "code status:status firstName lastName email:email phone:phone jobTitle birthDate:date hiredDate:date \
         releasedDate:date street city region postalCode country managerId:>employee notes:text custom:object",
    ),
    (
        "item",
        "items",
        "code status:status reference name description:text unit salePrice:decimal purchasePrice:decimal currency \
         taxCode quantityOnHand:decimal isInventoried:boolean saleAccountId:>account purchaseAccountId:>account \
         supplierId:>organization tags:set custom:object",
    ),
    (
        "account",
        "accounts",
        "code status:status name description:text class accountType currency balance:decimal taxCode \
         parentId:>account custom:object",
    ),
    (
        "invoice",
        "invoices",
        "code status invoiceType number title transactionDate:date dueDate:date currency amount:decimal \
         taxAmount:decimal balance:decimal organizationId:>organization contactId:>contact lines:list \
         publicNote:text notes:text custom:object",
    ),
    (
        "quote",
        "quotes",
        "code status number title transactionDate:date expiryDate:date currency amount:decimal taxAmount:decimal \
         organizationId:>organization contactId:>contact lines:list publicNote:text notes:text custom:object",
    ),
    (
        "order",
        "orders",
        "code status orderType number title transactionDate:date deliveryDate:date currency amount:decimal \
         taxAmount:decimal organizationId:>organization contactId:>contact lines:list publicNote:text notes:text \
         custom:object",
    ),
    (
        "payment",
        "payments",
        "code status paymentType title transactionDate:date currency amount:decimal method reference \
         organizationId:>organization contactId:>contact invoiceId:>invoice accountId:>account notes:text \
         custom:object",
    ),
    (
        "opportunity",
        "opportunities",
        "code status name description:text stage amount:decimal currency probability:decimal closeDate:date source \
         organizationId:>organization contactId:>contact agentId:>agent tags:set notes:text custom:object",
    ),
    (
        "project",
        "projects",
        "code status name description:text startDate:date dueDate:date completedDate:date budget:decimal currency \
         organizationId:>organization contactId:>contact ownerId:>employee tags:set notes:text custom:object",
    ),
    (
        "task",
        "tasks",
        "code status name description:text priority startDate:date dueDate:date completedAt:datetime \
         projectId:>project contactId:>contact agentId:>agent assigneeId:>employee tags:set notes:text custom:object",
    ),
    (
        "event",
        "events",
        "code status name description:text startsAt:datetime endsAt:datetime timezone venue url:url capacity:integer \
         organizationId:>organization tags:set notes:text custom:object",
    ),
    (
        "note",
        "notes",
        "title body:text author notedAt:datetime contactId:>contact organizationId:>organization \
         opportunityId:>opportunity agentId:>agent tags:set custom:object",
    ),
    (
        "appointment",
        "appointments",
        "code status name description:text appointmentType startsAt:datetime endsAt:datetime timezone location \
         contactId:>contact agentId:>agent organizationId:>organization attendees:list notes:text custom:object",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ready_made_line_reads_whole() {
        let schema = Schema::ready_made();
        assert_eq!(schema.shapes().count(), READY_MADE.len());
        for (id, _, fields) in READY_MADE {
            let shape = schema.shape(id).unwrap();
            assert_eq!(shape.fields.len(), fields.split_whitespace().count(), "{id}");
            assert!(
                shape.match_groups.iter().flat_map(|group| group.iter()).all(|field| shape.fields.contains_key(field))
            );
            for field in shape.fields.values() {
                assert!(!["id", "type", "version", "limit", "cursor", "order", "at", "match"].contains(&field.id));
                if let Kind::Reference(ty) = &field.kind {
                    assert!(schema.shape(ty.as_str()).is_ok(), "{id}.{} refers to {ty}", field.id);
                }
            }
        }
    }

    #[test]
    fn a_misspelt_name_gets_a_hint() {
        let schema = Schema::ready_made();
        let refused = schema.shape("contact").unwrap().field("emial").unwrap_err();
        assert_eq!(refused.code, Code::UnknownField);
        assert!(refused.message.contains("did you mean email?"), "{}", refused.message);
        assert!(schema.shape("contacts").unwrap_err().message.contains("did you mean contact?"));
    }
}
