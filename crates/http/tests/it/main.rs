//! The gate, in process: answers, refusals, and who may do what on every route.
#![expect(clippy::indexing_slicing, reason = "an answer that lacks what a test reads fails the test")]

mod access;
mod audit;
mod bad_input;
mod bulk;
mod calls;
mod checklists;
mod connections;
mod crew;
mod erase;
mod feed;
mod hooks;
mod letters;
mod limits;
mod logins;
mod mirrors;
mod office;
mod past;
mod positions;
mod pruned;
mod rest;
mod scope;
mod scope_leaks;
mod shares;
mod shop;
mod tokens;
mod typed;
