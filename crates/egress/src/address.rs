//! Which addresses may be connected to: the public internet, and what an operator opened.
//!
//! The tables follow IANA's special-purpose registries (RFC 6890 and its updates). IPv6
//! forms that carry an IPv4 address (mapped, compatible, NAT64, 6to4) are judged by the
//! address they carry. It must not resolve names: it judges addresses only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), len)
}

const fn v6(a: u16, b: u16, c: u16, len: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), len)
}

static CLOSED_V4: [(Ipv4Net, &str); 15] = [
    (v4(0, 0, 0, 8), "an unspecified address"),
    (v4(10, 0, 0, 8), "a private address"),
    (v4(100, 64, 0, 10), "an address inside a provider's network"),
    (v4(127, 0, 0, 8), "this machine itself"),
    (v4(169, 254, 0, 16), "a link-local address"),
    (v4(172, 16, 0, 12), "a private address"),
    (v4(192, 0, 0, 24), "a reserved address"),
    (v4(192, 0, 2, 24), "a documentation address"),
    (v4(192, 88, 99, 24), "a reserved address"),
    (v4(192, 168, 0, 16), "a private address"),
    (v4(198, 18, 0, 15), "a benchmarking address"),
    (v4(198, 51, 100, 24), "a documentation address"),
    (v4(203, 0, 113, 24), "a documentation address"),
    (v4(224, 0, 0, 4), "a multicast address"),
    (v4(240, 0, 0, 4), "a reserved address"),
];

static CLOSED_V6: [(Ipv6Net, &str); 9] = [
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128), "an unspecified address"),
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "this machine itself"),
    (v6(0x2001, 0, 0, 23), "a reserved address"),
    (v6(0x2001, 0xdb8, 0, 32), "a documentation address"),
    (v6(0x3fff, 0, 0, 20), "a documentation address"),
    (v6(0xfc00, 0, 0, 7), "a private address"),
    (v6(0xfe80, 0, 0, 10), "a link-local address"),
    (v6(0xfec0, 0, 0, 10), "a private address"),
    (v6(0xff00, 0, 0, 8), "a multicast address"),
];

/// The only part of IPv6 given out for use on the internet (RFC 4291, section 2.5.4).
const OPEN_V6: Ipv6Net = v6(0x2000, 0, 0, 3);
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);
const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 0, 16);
const IPV4_COMPATIBLE: Ipv6Net = v6(0, 0, 0, 96);

/// Where clouds hand out credentials: opened only by naming exactly this host.
static METADATA: [IpAddr; 5] = [
    METADATA_V4,
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// The metadata address most clouds share.
pub(crate) const METADATA_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));

/// The rule for outgoing connections.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    allowed: Vec<IpNet>,
}

/// An address that may not be connected to, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {why}; an operator may open it with --allow-private {}", open_with(*address, *is_metadata))]
pub struct AddressRefused {
    /// The address, as it was given.
    pub address: IpAddr,
    /// What kind of address it is, with an article.
    pub why: &'static str,
    /// Whether only an entry for exactly this host opens it.
    pub is_metadata: bool,
}

fn open_with(address: IpAddr, is_metadata: bool) -> String {
    let host = IpNet::from(plain(address));
    if is_metadata { format!("{host} (no wider range does)") } else { format!("{host} or a wider range") }
}

impl AddressPolicy {
    /// The public internet, and the networks in `allowed` besides.
    #[must_use]
    pub const fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Judges one address.
    ///
    /// # Errors
    /// The address is not on the public internet and no allowed network holds it. A
    /// metadata address needs an entry with its full length (`/32`, `/128`).
    pub fn check_ip(&self, ip: IpAddr) -> Result<(), AddressRefused> {
        let judged = plain(ip);
        let is_metadata = METADATA.contains(&judged);
        let Some(why) = closed(judged) else {
            return Ok(());
        };
        let is_allowed = self.allowed.iter().any(|net| {
            let is_wide = net.prefix_len() < net.max_prefix_len();
            (net.contains(&judged) || net.contains(&ip)) && !(is_metadata && is_wide)
        });
        if is_allowed {
            return Ok(());
        }
        let why = if is_metadata { "a cloud's metadata address" } else { why };
        Err(AddressRefused { address: ip, why, is_metadata })
    }
}

/// The IPv4 address that an IPv6 address carries, or the address itself.
fn plain(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return IpAddr::V4(v4);
    }
    let [_, a, b, _, _, _, c, d] = v6.segments();
    let joined = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)));
    if SIX_TO_FOUR.contains(&v6) {
        return joined(a, b);
    }
    let is_special = v6.is_unspecified() || v6.is_loopback();
    if NAT64.contains(&v6) || (IPV4_COMPATIBLE.contains(&v6) && !is_special) {
        return joined(c, d);
    }
    ip
}

/// Why an address is closed, or `None` for the public internet.
fn closed(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => CLOSED_V4.iter().find(|(net, _)| net.contains(&ip)).map(|(_, why)| *why),
        IpAddr::V6(ip) => CLOSED_V6
            .iter()
            .find(|(net, _)| net.contains(&ip))
            .map(|(_, why)| *why)
            .or_else(|| (!OPEN_V6.contains(&ip)).then_some("a reserved address")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(allowed: &[&str], ip: &str, is_open: bool) {
        let policy = AddressPolicy::new(allowed.iter().map(|net| net.parse().unwrap()).collect());
        let verdict = policy.check_ip(ip.parse().unwrap());
        assert_eq!(verdict.is_ok(), is_open, "{ip} with {allowed:?}: {verdict:?}");
    }

    #[test]
    fn the_public_internet_is_open() {
        for ip in ["1.1.1.1", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "64:ff9b::1.1.1.1", "2002:101:101::1"] {
            check(&[], ip, true);
        }
    }

    #[test]
    fn everything_else_is_closed() {
        for ip in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
            "100::1",
            "64:ff9b:1::1",
            "4000::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::",
        ] {
            check(&[], ip, false);
        }
    }

    #[test]
    fn an_operator_may_open_a_range() {
        check(&["10.0.0.0/8"], "10.1.2.3", true);
        check(&["10.0.0.0/8"], "::ffff:10.1.2.3", true);
        check(&["10.0.0.0/8"], "192.168.1.1", false);
        check(&["::1/128"], "::1", true);
    }

    #[test]
    fn metadata_is_opened_only_by_its_own_name() {
        for ip in ["169.254.169.254", "::ffff:169.254.169.254", "100.100.100.200", "fd00:ec2::254"] {
            check(&["0.0.0.0/0", "::/0", "169.254.0.0/16", "fd00::/8"], ip, false);
        }
        check(&["169.254.169.254/32"], "169.254.169.254", true);
        check(&["fd00:ec2::254/128"], "fd00:ec2::254", true);
        check(&["169.254.169.254/32"], "169.254.1.1", false);
    }

    #[test]
    fn the_refusal_names_the_way_out() {
        let refused = AddressPolicy::default().check_ip("::ffff:10.0.0.5".parse().unwrap()).unwrap_err();
        let expected = "::ffff:10.0.0.5 is a private address; an operator may open it with --allow-private 10.0.0.5/32 or a wider range";
        assert_eq!(refused.to_string(), expected);
    }
}
