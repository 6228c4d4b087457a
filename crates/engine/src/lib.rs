//! Use cases: ingest, control, read, and the post room that follows the log and delivers.
//!
//! ```text
//!  http ─▶ ingest ─▶ Store::commit ─▶ log ─▶ deliver (tail ▸ index ▸ lane ▸ post) ─▶ egress
//!      └─▶ control ─▶ Store::commit ─▶ settings ─▶ read anew by all of the above
//! ```
//! Nothing before the log knows who reads it; nothing after the log alters it. Callers come with a
//! [`principal::Principal`], and each use case asks it what it may do before it does anything.

pub mod alert;
pub mod backup;
pub mod control;
pub mod deliver;
pub mod feed;
pub mod ingest;
pub mod metrics;
pub mod principal;
pub mod query;

pub mod read;
pub mod record;
pub mod refusal;
pub mod rekey;
pub mod retention;
pub mod rollback;
pub mod seal;
pub mod settings;
pub mod sweep;
pub mod upload;

use lockstep_core::clock::{Clock, IdSource};
use lockstep_core::error::Rejection;
use lockstep_core::ids::BusinessId;
use lockstep_core::schema::{Schema, Shape};
use lockstep_egress::{AddressPolicy, Transport};
use lockstep_store::Store;
use settings::SharedSettings;
use std::sync::Arc;

/// The target of spans, apart from log lines: it is wanted only where traces are on.
pub const SPANS: &str = "lockstep_span";

/// All that the use cases stand on, given once at the start.
pub struct World {
    /// Keeps everything.
    pub store: Arc<dyn Store>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Draws ids.
    pub ids: Arc<dyn IdSource>,
    /// Sends to the outside.
    pub transport: Arc<dyn Transport>,
    /// Says where to.
    pub policy: Arc<AddressPolicy>,
    /// Seals secrets.
    pub sealer: seal::Sealer,
    /// Businesses, applications, subscriptions, as last read.
    pub settings: SharedSettings,
    /// Uploads under way.
    pub uploads: upload::Uploads,
    /// Where system events go beside their owners.
    pub alerts: alert::Alerts,
    /// Wakes readers of the feed.
    pub bells: feed::Bells,
    /// Readers of the feed that stay.
    pub classes: feed::Classes,
    /// Counts.
    pub metrics: metrics::Metrics,
    /// SHA-256 of the administrator's API key.
    pub admin_key_digest: [u8; 32],
}

impl World {
    /// The types that a business knows.
    #[must_use]
    pub fn schema(&self, business: &BusinessId) -> Arc<Schema> {
        self.settings.read(|settings| settings.schema(business))
    }

    /// The shape of a type of a business.
    ///
    /// # Errors
    /// `unknown_type`.
    pub fn shape(&self, business: &BusinessId, ty: &str) -> Result<Arc<Shape>, Rejection> {
        self.schema(business).shape(ty).cloned()
    }
}
