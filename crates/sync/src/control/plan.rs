//! What a share does, worked out of what it says, what its connector says, and the type: or why it cannot.

use super::share::check_options;
use crate::registry::Known;
use lockstep_connect::Remote;
use lockstep_core::command::MatchGroup;
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::grant::compile_condition;
use lockstep_core::limits;
use lockstep_core::mapping::{Compiled, Mapping, Way};
use lockstep_core::rules::scope::Reach;
use lockstep_core::schema::Shape;
use lockstep_core::share::{Direction, Share};
use lockstep_engine::World;
use lockstep_expr::Expr;
use serde_json::Value;
use std::sync::Arc;

/// A share ready to be carried out.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The type.
    pub shape: Arc<Shape>,
    /// Fields there and here.
    pub mapping: Compiled,
    /// The groups of fields that a record is recognised by; alternatives, in order.
    pub matching: Vec<MatchGroup>,
    /// Which records; all where there is none.
    pub condition: Option<Expr>,
}

/// What a connector says of a remote object.
///
/// # Errors
/// `invalid_value`, naming those it knows.
pub fn remote<'k>(known: &'k Known, object: &str) -> Result<&'k Remote, Rejection> {
    known.connector.object(object).ok_or_else(|| {
        let objects: Vec<&str> = match &known.connector.sharing {
            Some(sharing) => sharing.types.keys().map(String::as_str).collect(),
            None => Vec::new(),
        };
        let text = match objects.is_empty() {
            true => format!("the connector {} says nothing of sharing: it needs a lockstep.yaml", known.name),
            false => format!("{} has no object {}: it has {}", known.name, shown(object), objects.join(", ")),
        };
        Rejection::new(Code::InvalidValue, text).at_field("object")
    })
}

impl Plan {
    /// What a share does.
    ///
    /// # Errors
    /// `unknown_type`, `invalid_value`, `invalid_mapping`, `invalid_condition`, `unknown_match_group`, `limit_reached`;
    /// each with its place in the share as it is written.
    pub fn of(world: &World, known: &Known, share: &Share) -> Result<Self, Rejection> {
        let shape = world.shape(&share.business, share.ty.as_str()).map_err(|refused| refused.at_field("type"))?;
        let remote = remote(known, &share.object)?;
        check_options(remote, &share.options)?;
        if share.direction == Direction::Out && remote.write.is_none() {
            let text = format!("{} cannot be written: its shares go in", share.object);
            return Err(Rejection::new(Code::InvalidValue, text).at_field("direction"));
        }
        let mapping = mapping(remote, share.mapping.as_ref(), share.direction, &shape)?;
        let matching = matching(remote, share, &shape)?;
        let condition = share.condition.as_deref().map(|text| condition(text, &shape)).transpose()?;
        Ok(Self { shape, mapping, matching, condition })
    }
}

/// A mapping that fits a type: a share's own, else its connector's.
///
/// # Errors
/// `invalid_mapping`, telling all that is wrong and the place of the first.
pub(super) fn mapping(
    remote: &Remote,
    own: Option<&Value>,
    direction: Direction,
    shape: &Shape,
) -> Result<Compiled, Rejection> {
    let whose = if own.is_some() { "" } else { "the connector's own mapping does not fit: " };
    let refused = |wrong: Vec<Rejection>| {
        let place = wrong.first().and_then(|first| first.pointer.clone()).unwrap_or_default();
        let texts: Vec<String> = wrong
            .into_iter()
            .map(|one| match one.pointer {
                Some(place) => format!("{}: {}", place.trim_start_matches('/'), one.message),
                None => one.message,
            })
            .collect();
        let text = format!("{whose}{}", texts.join("; "));
        Rejection::new(Code::InvalidMapping, text).at(format!("/mapping{place}"))
    };
    let parsed = own.map(Mapping::parse).transpose().map_err(refused)?;
    let mapping = parsed.as_ref().unwrap_or(&remote.mapping);
    let other = if direction == Direction::In { Way::Out } else { Way::In };
    if !mapping.entries.values().any(|entry| entry.only != Some(other)) {
        let text = format!("{whose}no field of it goes the way of the share: name some");
        return Err(Rejection::new(Code::InvalidMapping, text).at_field("mapping"));
    }
    mapping.compile(shape).map_err(refused)
}

/// The groups that a record is recognised by. Only those that the type declares are looked up.
fn matching(remote: &Remote, share: &Share, shape: &Shape) -> Result<Vec<MatchGroup>, Rejection> {
    let groups = share.matching.as_ref().unwrap_or(&remote.matching);
    if groups.len() > limits::MATCH_GROUPS_MAX {
        let text = format!("match has {} groups: at most {} are taken", groups.len(), limits::MATCH_GROUPS_MAX);
        return Err(Rejection::new(Code::LimitReached, text).at_field("match"));
    }
    let everything = Reach::everything();
    let found = groups.iter().map(|group| shape.match_group(&group.join(","), &everything));
    found.collect::<Result<_, _>>().map_err(|refused| refused.at_field("match"))
}

/// A condition on records of a type.
fn condition(text: &str, shape: &Shape) -> Result<Expr, Rejection> {
    let compiled = compile_condition(text).map_err(|refused| refused.at_field("condition"))?;
    let is_known = |name: &&String| *name == "fields" || shape.fields.contains_key(name.as_str());
    match compiled.names().iter().find(|name| !is_known(name)) {
        None => Ok(compiled),
        Some(name) => {
            let text = format!("the condition names {}, which no {} has", shown(name), shape.id);
            Err(Rejection::new(Code::InvalidCondition, text).at_field("condition"))
        }
    }
}
