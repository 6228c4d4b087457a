//! The gate, in process: answers, refusals, and who may do what on every route.

mod access;
mod bad_input;
mod calls;
mod office;
