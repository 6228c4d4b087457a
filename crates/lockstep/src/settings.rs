//! Settings: flags, `LOCKSTEP_*` variables, one TOML file, defaults; in this order.

use crate::command_line::{LogFormat, ServeArgs};
use crate::failure::Failure;
use crate::kept_for::KeptFor;
use crate::paths;
use ipnet::IpNet;
use lockstep_core::error::Code;
use lockstep_core::limits::HISTORY_KEPT_S_MIN;
use lockstep_core::rate::RateLimit;
use lockstep_engine::retention::Keep;
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// The port that a server has if nobody says otherwise.
const PORT: u16 = 7070;

/// Where TLS is read from.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Settings as a server needs them.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) data: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) allow_private: Vec<IpNet>,
    pub(crate) secret_key_file: Option<PathBuf>,
    pub(crate) secret_key: Option<String>,
    pub(crate) admin_key: Option<String>,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) connectors: Option<PathBuf>,
    pub(crate) public_url: Option<Url>,
    pub(crate) otlp_endpoint: Option<String>,
    pub(crate) keep: Keep,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) alert_url: Option<String>,
    pub(crate) alert_secret: Option<String>,
    pub(crate) log_format: LogFormat,
    pub(crate) log: String,
}

/// The file's members, named as the flags.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SettingsFile {
    data: Option<PathBuf>,
    listen: Option<SocketAddr>,
    allow_private: Option<Vec<IpNet>>,
    secret_key_file: Option<PathBuf>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    connectors: Option<PathBuf>,
    public_url: Option<String>,
    otlp_endpoint: Option<String>,
    history_kept_for: Option<KeptFor>,
    cursor_held_for: Option<KeptFor>,
    rate_limit: Option<u32>,
    alert_url: Option<String>,
    log_format: Option<LogFormat>,
    log: Option<String>,
}

impl Settings {
    /// Settings from the command line, the environment and the file that they name.
    pub(crate) fn read(args: ServeArgs) -> Result<Self, Failure> {
        let file = args.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let allow_private = match args.allow_private {
            given if given.is_empty() => file.allow_private.unwrap_or_default(),
            given => given,
        };
        let tls = match (args.tls_cert.or(file.tls_cert), args.tls_key.or(file.tls_key)) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            _ => {
                let text = "--tls-cert and --tls-key belong together: give both, or neither to serve plain HTTP";
                return Err(Failure::new(Code::SettingsInvalid, text));
            }
        };
        let keep =
            keep(args.history_kept_for.or(file.history_kept_for), args.cursor_held_for.or(file.cursor_held_for))?;
        Ok(Self {
            keep,
            rate_limit: args.rate_limit.or(file.rate_limit).map(rate_limit).transpose()?,
            data: args.data.or(file.data).unwrap_or_else(paths::default_data),
            listen: args.listen.or(file.listen).unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))),
            allow_private,
            secret_key_file: args.secret_key_file.or(file.secret_key_file),
            secret_key: args.secret_key.or_else(|| variable("LOCKSTEP_SECRET_KEY")),
            admin_key: args.admin_key.or_else(|| variable("LOCKSTEP_ADMIN_KEY")),
            tls,
            connectors: args.connectors.or(file.connectors),
            public_url: args.public_url.or(file.public_url).as_deref().map(public_url).transpose()?,
            otlp_endpoint: args.otlp_endpoint.or(file.otlp_endpoint).filter(|given| !given.is_empty()),
            alert_url: args.alert_url.or(file.alert_url).filter(|given| !given.is_empty()),
            alert_secret: variable("LOCKSTEP_ALERT_SECRET"),
            log_format: args.log_format.or(file.log_format).unwrap_or_default(),
            log: args.log.or(file.log).unwrap_or_else(|| "info".to_owned()),
        })
    }
}

/// How long history is kept, and held for those who are behind.
fn keep(history: Option<KeptFor>, cursors: Option<KeptFor>) -> Result<Keep, Failure> {
    let least = Duration::from_secs(HISTORY_KEPT_S_MIN);
    if history.is_some_and(|KeptFor(time)| time < least) {
        let text = "--history-kept-for is less than an hour: give a longer time, such as 90d, or leave it out to keep \
                    history for ever";
        return Err(Failure::new(Code::SettingsInvalid, text));
    }
    Ok(Keep {
        history_for: history.map(|KeptFor(time)| time),
        cursors_for: cursors.map_or(Keep::default().cursors_for, |KeptFor(time)| time),
    })
}

/// Where platforms and people reach this hub: an address with nothing behind its path.
fn public_url(text: &str) -> Result<Url, Failure> {
    let parsed = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none() && url.fragment().is_none()
    });
    parsed.ok_or_else(|| {
        let text = format!("--public-url is {text:?}: give an address such as https://hub.example.com");
        Failure::new(Code::SettingsInvalid, text)
    })
}

/// How often a credential may call that has no limit of its own.
fn rate_limit(per_second: u32) -> Result<RateLimit, Failure> {
    RateLimit::per_second(per_second).check().map_err(|refused| {
        let text = format!("--rate-limit: {}; leave it out to set none", refused.message);
        Failure::new(Code::SettingsInvalid, text)
    })
}

/// A secret from the environment; it is no flag, since flags show in process lists.
#[expect(clippy::disallowed_methods, reason = "the one place where secrets are read from the environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn read_file(path: &Path) -> Result<SettingsFile, Failure> {
    let invalid = |what: String| Failure::new(Code::SettingsInvalid, format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| invalid(format!("cannot be read: {error}")))?;
    toml::from_str(&text).map_err(|error| invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> PathBuf {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path().keep().unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let config = file(
            "listen = \"127.0.0.1:9\"\ndata = \"from-file\"\nalert-url = \"https://ops.example/\"\nallow-private = [\"10.0.0.0/8\"]\n",
        );
        let args = ServeArgs { config: Some(config), data: Some("from-flag".into()), ..ServeArgs::default() };
        let settings = Settings::read(args).unwrap();
        assert_eq!(settings.data, PathBuf::from("from-flag"));
        assert_eq!(settings.listen.port(), 9);
        assert_eq!(settings.allow_private.len(), 1);
        assert_eq!((settings.log.as_str(), settings.alert_url.as_deref()), ("info", Some("https://ops.example/")));
    }

    #[test]
    fn history_is_kept_for_ever_unless_a_time_is_given_and_cursors_for_thirty_days() {
        let day = Duration::from_secs(86_400);
        let unset = Settings::read(ServeArgs::default()).unwrap().keep;
        assert_eq!((unset.history_for, unset.cursors_for), (None, 30 * day));
        let config = file("history-kept-for = \"90d\"\ncursor-held-for = \"1w\"\n");
        let args = ServeArgs { config: Some(config), cursor_held_for: Some(KeptFor(day)), ..ServeArgs::default() };
        let set = Settings::read(args).unwrap().keep;
        assert_eq!((set.history_for, set.cursors_for), (Some(90 * day), day));
        for text in ["5m", "-3d", "soon", "2 years"] {
            let args =
                ServeArgs { config: Some(file(&format!("history-kept-for = \"{text}\"\n"))), ..ServeArgs::default() };
            assert!(Settings::read(args).unwrap_err().to_string().contains("settings_invalid"), "{text}");
        }
    }

    #[test]
    fn a_rate_limit_is_a_number_that_can_be_kept() {
        let read = |calls| Settings::read(ServeArgs { rate_limit: calls, ..ServeArgs::default() });
        assert_eq!(read(None).unwrap().rate_limit, None);
        assert_eq!(read(Some(50)).unwrap().rate_limit, Some(RateLimit::per_second(50)));
        assert!(read(Some(0)).unwrap_err().to_string().contains("--rate-limit"));
    }

    #[test]
    fn a_public_url_is_an_address_with_nothing_behind_its_path() {
        let read = |url: &str| Settings::read(ServeArgs { public_url: Some(url.to_owned()), ..ServeArgs::default() });
        assert_eq!(read("https://hub.example/x").unwrap().public_url.unwrap().as_str(), "https://hub.example/x");
        for url in ["hub.example", "ftp://hub.example", "https://hub.example/?a=1", "https://hub.example/#a"] {
            assert!(read(url).unwrap_err().to_string().contains("--public-url"), "{url}");
        }
    }

    #[test]
    fn an_unknown_setting_is_refused_by_name() {
        let args = ServeArgs { config: Some(file("listne = \"x\"\n")), ..ServeArgs::default() };
        let refused = Settings::read(args).unwrap_err().to_string();
        assert!(refused.contains("settings_invalid") && refused.contains("listne"), "{refused}");
    }
}
