//! The platform doubles: every sample of their reference as a golden test, what their checklists ask for, faults,
//! and both ways to reach them; and the ready-made connectors against them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::indexing_slicing, reason = "members of JSON that are absent read as null")]

mod activecampaign;
mod blueconic;
mod connectors;
mod copernica;
mod faults;
mod golden;
mod leave;
mod ledger;
mod linked;
mod listening;
mod platform_x;
mod reading;
mod rest;
mod writing;
