//! `lockstep serve`.

use crate::command_line::ServeArgs;
use crate::failure::Failure;
use crate::printer::say;
use crate::settings::Settings;
use crate::telemetry::Telemetry;
use crate::wire_up::{Hub, runtime, stop_at_signal};
use crate::{logging, paths};

/// Serves until a signal.
pub(crate) fn run(args: ServeArgs) -> Result<(), Failure> {
    let settings = Settings::read(args)?;
    runtime()?.block_on(async {
        let telemetry = Telemetry::begin(&settings)?;
        logging::begin(&settings.log, settings.log_format, telemetry.as_ref().map(Telemetry::tracer))?;
        let served = serve(&settings).await;
        if let Some(telemetry) = telemetry {
            telemetry.end().await;
        }
        served
    })
}

async fn serve(settings: &Settings) -> Result<(), Failure> {
    let hub = Hub::open(settings).await?;
    let stop = stop_at_signal()?;
    for path in &hub.made {
        say(&format!("made {}", path.display()));
        if *path == paths::sealing_key(&settings.data) {
            say("  it seals the secrets in this folder: keep a copy elsewhere, backups leave it out");
        } else {
            say("  it holds the administrator's API key");
        }
    }
    say(&format!("lockstep is listening on {}", hub.url()));
    hub.run(stop).await
}
