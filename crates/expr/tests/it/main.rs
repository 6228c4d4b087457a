//! Tests of the whole crate from outside: its answers beside those of the reference.

mod datetime;
mod interpolation;
