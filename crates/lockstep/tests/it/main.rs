//! Black-box tests of the built binary: its process, its files and its HTTP, as an operator and a client see them.
//!
//! Nothing here may reach into the hub's crates: what these tests rest on is what is fixed for others to rely on. The
//! doubles of platforms, which `club` connects a hub to, are no part of the hub.
//! `hub` starts and kills the process, `client` speaks to it, `receiver` is the subscriber; `trial` puts them under
//! load and takes the power away; `promises` judges what was recorded. The other modules are the tests.
//!
//! The modules stand under `cfg(test)` so that clippy's exceptions for tests hold in their helpers too.

#[cfg(test)]
mod airbyte;
#[cfg(test)]
mod bulk;
#[cfg(test)]
mod chance;
#[cfg(test)]
mod client;
#[cfg(test)]
mod club;
#[cfg(test)]
mod connector;
#[cfg(test)]
mod connector_new;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod desk;
#[cfg(test)]
mod disk_full;
#[cfg(test)]
mod eventually;
#[cfg(test)]
mod hub;
#[cfg(test)]
mod log;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod peers_tokens;
#[cfg(test)]
mod power;
#[cfg(test)]
mod power_loss;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod promises_judged;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod rekey;
#[cfg(test)]
mod restore;
#[cfg(test)]
mod shares;
#[cfg(test)]
mod shares_crash;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod start;
#[cfg(test)]
mod stop;
#[cfg(test)]
mod sync_before_answer;
#[cfg(test)]
mod tail;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod trial;
#[cfg(test)]
mod writers;
