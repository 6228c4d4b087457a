//! The ready-made types, their fields and collection keys.
//!
//! The table below is the whole of it: one line a type, one word a field. Field names follow what the Data API
//! and Connec! call them, in camel case.

use super::{Field, Shape};
use crate::ids::TypeId;
use crate::kind::Kind;

/// Every ready-made shape.
pub(super) fn shapes() -> impl Iterator<Item = Shape> {
    READY_MADE.iter().filter_map(|(id, collection, fields)| {
        let id = TypeId::parse(id).ok()?;
        let declared = MATCH_GROUPS.iter().find(|(ty, _)| *ty == id.as_str());
        let owned = |group: &&[&str]| group.iter().map(|&field| field.to_owned()).collect();
        let match_groups = declared.map_or_else(Vec::new, |(_, groups)| groups.iter().map(owned).collect());
        Some(Shape {
            label: super::label_of(id.as_str()),
            id,
            collection: (*collection).to_owned(),
            fields: fields.split_whitespace().filter_map(parse_field).map(|field| (field.id.clone(), field)).collect(),
            match_groups,
            is_custom: false,
            is_plain: true,
            looked_up: Vec::new(),
        })
    })
}

/// Reads `name:kind`; a name alone is a string.
fn parse_field(word: &str) -> Option<Field> {
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
        "status" => Kind::Enum(["ACTIVE", "ARCHIVED"].map(str::to_owned).into()),
        reference => Kind::Reference(TypeId::parse(reference.strip_prefix('>')?).ok()?),
    };
    Some(Field::new(id, kind))
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
    use crate::schema::Schema;
    use crate::schema::definition::RESERVED_FIELDS;

    #[test]
    fn every_ready_made_line_reads_whole() {
        let schema = Schema::ready_made();
        assert_eq!(schema.shapes().count(), READY_MADE.len());
        for (id, _, fields) in READY_MADE {
            let shape = schema.shape(id).unwrap();
            assert_eq!(shape.fields.len(), fields.split_whitespace().count(), "{id}");
            assert!(shape.match_groups.iter().flatten().all(|field| shape.fields.contains_key(field)));
            for field in shape.fields.values() {
                assert!(!RESERVED_FIELDS.contains(&field.id.as_str()));
                if let Kind::Reference(ty) = &field.kind {
                    assert!(schema.shape(ty.as_str()).is_ok(), "{id}.{} refers to {ty}", field.id);
                }
            }
        }
    }
}
