//! Whom to believe: the certificates of authorities, those of the system or those that were given.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// Where distributions keep all authorities in one file.
const BUNDLES: [&str; 6] = [
    // Debian, Ubuntu, Alpine, Arch, Gentoo
    "/etc/ssl/certs/ca-certificates.crt",
    // Fedora, RHEL and its kin
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    // openSUSE, SLES
    "/var/lib/ca-certificates/ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    // Alpine without its ca-certificates package, Talos
    "/etc/ssl/cert.pem",
];
/// The variable by which OpenSSL and its like are told of another file.
const VARIABLE: &str = "SSL_CERT_FILE";

/// Certificates of authorities, and where they are from.
#[derive(Clone, Debug)]
pub struct Trust {
    roots: Arc<RootCertStore>,
    /// In words: how many, and of which file.
    pub source: String,
}

impl Trust {
    /// The authorities of one PEM file, and no others.
    ///
    /// # Errors
    /// When it cannot be read or holds no certificate of an authority.
    pub fn file(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| format!("cannot read certificates from {name}"))?;
        let mut roots = RootCertStore::empty();
        let (good, bad) = roots.add_parsable_certificates(certificates);
        ensure!(good > 0, "{name} holds no certificate of an authority");
        let bad = match bad {
            0 => String::new(),
            bad => format!(", {bad} more cannot be used"),
        };
        Ok(Self {
            roots: Arc::new(roots),
            source: format!("{good} certificates of {name}{bad}"),
        })
    }

    /// The authorities of the system: the file of `SSL_CERT_FILE`, or the first of the usual places that there is.
    ///
    /// # Errors
    /// When there is none of these files, or it cannot be used.
    pub fn system(environment: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let given = environment(VARIABLE).map(PathBuf::from);
        let usual = || BUNDLES.iter().map(PathBuf::from).find(|path| path.exists());
        let path = given.or_else(usual).with_context(|| {
            format!(
                "no certificates of authorities on this system ({}): give them with --ca FILE",
                BUNDLES.join(", ")
            )
        })?;
        Self::file(&path)
    }

    /// How connections are made by that trust.
    pub(super) fn config(&self) -> anyhow::Result<ClientConfig> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn a_file_without_authorities_is_refused_by_its_name() {
        let folder = Fixture::new();
        folder
            .file("empty.pem", "")
            .file("words.pem", "no certificate at all\n")
            .file(
                "bad.pem",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            )
            .file("cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
        for name in ["empty.pem", "words.pem", "bad.pem", "cut.pem", "absent.pem"] {
            let path = folder.path().join(name);
            let why = format!("{:#}", Trust::file(&path).unwrap_err());
            assert!(why.contains(name), "{why}");
            let environment = |_: &str| Some(path.display().to_string());
            assert!(Trust::system(&environment).is_err());
        }
    }
}
