//! Whether a URL that someone typed may be called at all, judged before it is saved.
//!
//! Names are not resolved here: what they resolve to is judged at every connection.
//! It must not accept what the connection would refuse on sight.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::address::{AddressPolicy, AddressRefused, METADATA_V4};

/// Longest URL, in bytes; what browsers and proxies agree upon.
pub const URL_BYTES_MAX: usize = 2_048;

/// Names by which clouds call their metadata address.
const METADATA_NAMES: [&str; 5] =
    ["metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"];

/// Why a URL was refused; the message is for the person who typed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefused {
    /// Longer than [`URL_BYTES_MAX`].
    #[error("the URL is {bytes} bytes long and at most {URL_BYTES_MAX} are allowed; shorten it")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Not a URL.
    #[error("this is not a URL ({source}); write it in full, such as https://example.org/hook")]
    Malformed {
        /// What the parser said.
        source: url::ParseError,
    },
    /// Neither http nor https.
    #[error("only http and https URLs can be called, not {scheme}; write https://…")]
    Scheme {
        /// The scheme it had.
        scheme: String,
    },
    /// No host, or port 0.
    #[error("the URL names no host to connect to; write it in full, such as https://example.org/hook")]
    NoHost,
    /// A user name or password before the host.
    #[error(
        "the URL carries a user name or password, which would be shown and logged; leave them out and use an authorization header instead"
    )]
    UserInfo,
    /// The host is an address that may not be connected to.
    #[error("the URL points to a closed address: {0}")]
    Address(#[from] AddressRefused),
    /// The host is a name for such an address.
    #[error("{host} is a name for {why}; an operator may open it with --allow-private {cidr}")]
    Name {
        /// The name.
        host: String,
        /// What it stands for, with an article.
        why: &'static str,
        /// The network that would have to be allowed.
        cidr: &'static str,
    },
}

impl AddressPolicy {
    /// Parses a URL and judges everything that can be judged without resolving it.
    /// The result has no fragment, which would not be sent anyway.
    ///
    /// # Errors
    /// See [`UrlRefused`].
    pub fn check_url(&self, text: &str) -> Result<Url, UrlRefused> {
        if text.len() > URL_BYTES_MAX {
            return Err(UrlRefused::TooLong { bytes: text.len() });
        }
        let mut url = Url::parse(text).map_err(|source| UrlRefused::Malformed { source })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlRefused::Scheme { scheme: url.scheme().to_owned() });
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlRefused::UserInfo);
        }
        if url.port() == Some(0) {
            return Err(UrlRefused::NoHost);
        }
        match url.host().ok_or(UrlRefused::NoHost)? {
            Host::Ipv4(ip) => self.check_ip(ip.into())?,
            Host::Ipv6(ip) => self.check_ip(ip.into())?,
            Host::Domain(name) => self.check_name(name)?,
        }
        url.set_fragment(None);
        Ok(url)
    }

    fn check_name(&self, name: &str) -> Result<(), UrlRefused> {
        let bare = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let is_open = |ip: IpAddr| self.check_ip(ip).is_ok();
        let refuse = |why, cidr| Err(UrlRefused::Name { host: name.to_owned(), why, cidr });
        if bare.is_empty() {
            return Err(UrlRefused::NoHost);
        }
        if bare == "localhost" || bare.ends_with(".localhost") {
            let is_loopback_open = is_open(Ipv4Addr::LOCALHOST.into()) || is_open(Ipv6Addr::LOCALHOST.into());
            return if is_loopback_open { Ok(()) } else { refuse("this machine itself", "127.0.0.0/8") };
        }
        if METADATA_NAMES.contains(&bare.as_str()) && !is_open(METADATA_V4) {
            return refuse("a cloud's metadata address", "169.254.169.254/32");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allowed: &[&str]) -> AddressPolicy {
        AddressPolicy::new(allowed.iter().map(|net| net.parse().unwrap()).collect())
    }

    #[test]
    fn public_urls_pass() {
        for text in
            ["https://example.org/hook?x=1", "http://example.org:8080", "https://1.1.1.1/", "https://[2606:4700::1]/"]
        {
            assert!(policy(&[]).check_url(text).is_ok(), "{text}");
        }
        assert_eq!(policy(&[]).check_url("https://example.org/a#b").unwrap().as_str(), "https://example.org/a");
    }

    #[test]
    fn disguises_of_closed_addresses_are_seen_through() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "169.254.169.254",
            "metadata.google.internal",
            "metadata",
            "１２７.0.0.1",
        ] {
            let text = format!("http://{host}/");
            assert!(policy(&[]).check_url(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_callable_is_refused() {
        let refusal = |text: &str| policy(&[]).check_url(text).unwrap_err();
        assert!(matches!(refusal("ftp://example.org"), UrlRefused::Scheme { .. }));
        assert!(matches!(refusal("file:///etc/passwd"), UrlRefused::Scheme { .. }));
        assert!(matches!(refusal("example.org/hook"), UrlRefused::Malformed { .. }));
        assert!(matches!(refusal("https://"), UrlRefused::Malformed { .. }));
        assert!(matches!(refusal("https://ann@example.org"), UrlRefused::UserInfo));
        assert!(matches!(refusal("https://:pw@example.org"), UrlRefused::UserInfo));
        assert!(matches!(refusal("https://example.org:0/"), UrlRefused::NoHost));
        let long = format!("https://example.org/{}", "a".repeat(URL_BYTES_MAX));
        assert!(matches!(refusal(&long), UrlRefused::TooLong { .. }));
    }

    #[test]
    fn localhost_follows_the_loopback_addresses() {
        assert!(policy(&["127.0.0.0/8"]).check_url("http://localhost:8080/").is_ok());
        assert!(policy(&["::1/128"]).check_url("http://x.localhost/").is_ok());
        assert!(policy(&["10.0.0.0/8"]).check_url("http://localhost/").is_err());
        assert!(policy(&["169.254.0.0/16"]).check_url("http://metadata.google.internal/").is_err());
    }
}
