//! Starts one of the simulated platforms on a port, for trials by hand.
//!
//! ```text
//! cargo run -p lockstep-sim --example platform -- blueconic --port 0 --people 1000 --speed 60 --faults throttle=10
//! ```
//! It must not be part of the product: it exists to be read and tried.
#![expect(clippy::print_stdout, reason = "an example says where it listens and what lets one in")]

use anyhow::{Context, bail};
use lockstep_core::clock::Clock;
use lockstep_sim::platforms::activecampaign::ActiveCampaign;
use lockstep_sim::platforms::blueconic::BlueConic;
use lockstep_sim::platforms::copernica::Copernica;
use lockstep_sim::platforms::platform_x::PlatformX;
use lockstep_sim::platforms::rest::{Auth, Rest};
use lockstep_sim::platforms::{Faults, Platform, ScaledClock, Site, serve};
use std::sync::Arc;
use tokio::net::TcpListener;

/// What was asked for.
struct Wanted {
    platform: String,
    port: u16,
    people: u64,
    seed: u64,
    speed: u32,
    faults: Faults,
    auth: Auth,
}

fn read_arguments() -> anyhow::Result<Wanted> {
    let mut words = std::env::args().skip(1);
    let platform = words.next().context("name a platform: blueconic, copernica, activecampaign, rest or platform-x")?;
    let mut wanted =
        Wanted { platform, port: 0, people: 250, seed: 1, speed: 1, faults: Faults::default(), auth: Auth::Bearer };
    while let Some(flag) = words.next() {
        let value = words.next().with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--port" => wanted.port = value.parse()?,
            "--people" => wanted.people = value.parse()?,
            "--seed" => wanted.seed = value.parse()?,
            "--speed" => wanted.speed = value.parse()?,
            "--faults" => wanted.faults = Faults::parse(&value)?,
            "--auth" => {
                wanted.auth = match value.as_str() {
                    "open" => Auth::Open,
                    "key-header" => Auth::KeyHeader,
                    "key-query" => Auth::KeyQuery,
                    "bearer" => Auth::Bearer,
                    "basic" => Auth::Basic,
                    "oauth2" => Auth::OAuth2,
                    _ => bail!("{value} is no kind of proof: open, key-header, key-query, bearer, basic or oauth2"),
                }
            }
            _ => bail!("{flag} is unknown: --port, --people, --seed, --speed, --faults, --auth"),
        }
    }
    Ok(wanted)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let wanted = read_arguments()?;
    let clock = ScaledClock::begin(wanted.speed);
    let (seed, people, now) = (wanted.seed, wanted.people, clock.now());
    match wanted.platform.as_str() {
        "blueconic" => {
            let said = "path /rest/v2; client_id hub, client_secret s3 at /rest/v2/oauth/token";
            stand(BlueConic::new(seed).with_people(people, now), &wanted, clock, said).await
        }
        "copernica" => {
            let said = format!("paths /v3 and /v4; API token {}, exchanged for a JWT by POST /", Copernica::TOKEN);
            stand(Copernica::new(seed).with_people(people, now), &wanted, clock, &said).await
        }
        "activecampaign" => {
            let said = format!("path /api/3; Api-Token {}", ActiveCampaign::TOKEN);
            stand(ActiveCampaign::new(seed).with_any_url().with_people(people, now), &wanted, clock, &said).await
        }
        "rest" => {
            let said = format!("{:?}: key {}, user or client {}", wanted.auth, Auth::KEY, Auth::USER);
            stand(Rest::new(seed, wanted.auth).with_people(people, seed, now), &wanted, clock, &said).await
        }
        "platform-x" => {
            let said = format!(
                "OAuth 1.0a with HMAC-SHA1: consumer {} and {}, token {} and {}",
                PlatformX::CONSUMER_KEY,
                PlatformX::CONSUMER_SECRET,
                PlatformX::TOKEN,
                PlatformX::TOKEN_SECRET
            );
            stand(PlatformX::new().with_people(people, seed, now), &wanted, clock, &said).await
        }
        other => bail!("{other} is no platform: blueconic, copernica, activecampaign, rest or platform-x"),
    }
}

async fn stand<P: Platform>(platform: P, wanted: &Wanted, clock: ScaledClock, said: &str) -> anyhow::Result<()> {
    let site = Site::new(platform, wanted.seed, Arc::new(clock));
    site.set(wanted.faults);
    let listener = TcpListener::bind(("127.0.0.1", wanted.port)).await?;
    println!("http://{} {said}", listener.local_addr()?);
    serve(Arc::new(site), listener).await?;
    Ok(())
}
