//! Where to send.

use std::{fmt, net::IpAddr, str::FromStr};

use hyper::{Uri, http::uri::Scheme};

/// An absolute `http` or `https` URL. Shown without its query, which may hold what is nobody's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Uri);

/// A host by its name or by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// To be looked up.
    Name(String),
    /// An address.
    Number(IpAddr),
}

impl Address {
    /// The host.
    #[must_use]
    pub fn host(&self) -> Host {
        let host = self.0.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse()
            .map_or_else(|_| Host::Name(host.to_owned()), Host::Number)
    }

    /// The port, by the scheme where none is given.
    #[must_use]
    pub fn port(&self) -> u16 {
        let usual = if self.is_encrypted() { 443 } else { 80 };
        self.0.port_u16().unwrap_or(usual)
    }

    /// Whether what is sent there is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }

    /// Host and port as the `Host` header has them.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.0.authority().map_or("", |it| it.as_str())
    }

    /// Path and query as a request has them.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path_and_query().map_or("/", |it| it.as_str())
    }

    /// The whole URL with its query.
    #[must_use]
    pub fn whole(&self) -> String {
        self.0.to_string()
    }

    /// Another path on the same host. `None` where it cannot be one.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<Self> {
        let mut parts = self.0.clone().into_parts();
        parts.path_and_query = Some(path.parse().ok()?);
        Uri::from_parts(parts).ok().map(Self)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        write!(out, "{scheme}://{}{}", self.authority(), self.0.path())?;
        if self.0.query().is_some() {
            out.write_str("?…")?;
        }
        Ok(())
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text itself is never repeated: it may hold a password.
        let uri: Uri = text.parse().map_err(|why| {
            format!("this is no URL ({why}); names beyond ASCII are written in Punycode")
        })?;
        if ![Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme()) {
            return Err("a URL that begins with https:// (or http://) is needed".to_owned());
        }
        let authority = uri.authority().map_or("", |it| it.as_str());
        if authority.contains('@') {
            return Err(
                "a URL must not hold a user or a password, which every process on this machine \
                 could read: give them in a file or in the environment"
                    .to_owned(),
            );
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err("the URL names no host".to_owned());
        }
        Ok(Self(uri))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn parts_of_an_address() {
        let it = address("https://example.com/a/b?token=x");
        assert_eq!(it.host(), Host::Name("example.com".to_owned()));
        assert_eq!((it.port(), it.is_encrypted()), (443, true));
        assert_eq!(it.path(), "/a/b?token=x");
        assert_eq!(it.to_string(), "https://example.com/a/b?…");
        assert_eq!(it.at("/c").unwrap().whole(), "https://example.com/c");

        let it = address("http://[::1]:9093");
        assert_eq!(it.host(), Host::Number("::1".parse().unwrap()));
        assert_eq!((it.port(), it.is_encrypted()), (9093, false));
        assert_eq!((it.path(), it.authority()), ("/", "[::1]:9093"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for text in [
            "",
            "example.com",
            "/path",
            "ftp://example.com/",
            "https://",
            "https://user:hunter2@example.com/",
            "https://exämple.com/",
            "https://example.com/hunter2 x",
        ] {
            let why = Address::from_str(text).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
