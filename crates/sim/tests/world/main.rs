//! Worlds on simulated time: random ones from seeds, and stories that show one promise each.

mod batches;
mod blame;
mod catching_up;
mod desk;
mod down;
mod erased;
mod letters;
mod office;
mod ordering;
mod pace;
mod pruned;
mod query;
mod references;
mod refused;
mod rules;
mod seeds;
mod shares;
mod tokens;
mod types;
