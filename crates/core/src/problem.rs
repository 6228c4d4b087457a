//! Problems: objects and records that could not be taken in or brought over, each with its reason.
//!
//! A share has at most one of each object or record; it closes by itself when that next applies.

use crate::clock::Timestamp;
use crate::error::Rejection;
use crate::ids::{BusinessId, ProblemId, RecordId, ShareId};
use aws_lc_rs::digest::{SHA256, digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What could not be taken in or brought over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// Its id.
    pub id: ProblemId,
    /// The business.
    pub business: BusinessId,
    /// The share.
    pub share: ShareId,
    /// Which way it was going.
    pub side: Side,
    /// The remote object's id, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// The record, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordId>,
    /// Why.
    pub reason: Rejection,
    /// When it first came up.
    pub first_at: Timestamp,
    /// When it last came up.
    pub last_at: Timestamp,
    /// How often it has come up.
    pub times: u32,
}

/// Which way something was going.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Into the hub.
    In,
    /// To the platform.
    Out,
}

/// What a problem is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A remote object, on its way in.
    Object(String),
    /// A record, on its way out.
    Record(RecordId),
}

impl ProblemId {
    /// The id of the problem that a share has with something, whenever it has one.
    #[must_use]
    pub fn of(share: ShareId, subject: &Subject) -> Self {
        let (kind, about) = match subject {
            Subject::Object(id) => (b'i', id.as_bytes().to_vec()),
            Subject::Record(id) => (b'o', id.0.to_be_bytes().to_vec()),
        };
        let hash = digest(&SHA256, &[&share.0.to_be_bytes()[..], &[kind], &about].concat());
        let number = hash.as_ref().iter().take(16).fold(0, |number: u128, byte| (number << 8) | u128::from(*byte));
        // The top bits stay clear, so that it reads back as 26 characters.
        Self(number >> 1)
    }
}

impl Subject {
    /// Which way it was going.
    #[must_use]
    pub const fn side(&self) -> Side {
        match self {
            Self::Object(_) => Side::In,
            Self::Record(_) => Side::Out,
        }
    }
}

impl Problem {
    /// The first time that something of a share stands in its own way.
    #[must_use]
    pub fn of(business: &BusinessId, share: ShareId, subject: &Subject, reason: Rejection, at: Timestamp) -> Self {
        let (remote, record) = match subject {
            Subject::Object(id) => (Some(id.clone()), None),
            Subject::Record(id) => (None, Some(*id)),
        };
        Self {
            id: ProblemId::of(share, subject),
            business: business.clone(),
            share,
            side: subject.side(),
            remote,
            record,
            reason,
            first_at: at,
            last_at: at,
            times: 1,
        }
    }

    /// The same, having come up once more.
    #[must_use]
    pub fn again(self, earlier: &Self) -> Self {
        Self { first_at: earlier.first_at, times: earlier.times.saturating_add(1), ..self }
    }
}
