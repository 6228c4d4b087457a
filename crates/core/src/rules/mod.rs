//! The rules: pure choices over the nouns.
//!
//! A store loads what a command names, asks [`ingest::decide`], and writes what it says; a worker asks
//! [`scope::look`] what a subscriber may see of a change, [`retry`] when to try again, [`signature`] how to sign.
//! None of them reads a clock or draws a number: given the same arguments they answer the same, on every node and
//! in every test.

pub mod check;
pub mod ingest;
pub mod matching;
pub mod query;
pub mod recovery;
pub mod retry;
pub mod scope;
pub mod signature;
pub mod sorting;
pub mod working_set;
