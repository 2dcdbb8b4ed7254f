//! Who may ask, and how: certificates, token, limits.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use ring::{hmac, rand::SystemRandom};
use rustls::{
    ServerConfig,
    crypto::ring as provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    agent::config::Http,
    export::{Credentials, credentials::Files},
};

/// How the server may be spoken with, read from its files.
pub struct Access {
    pub(super) tls: Option<TlsAcceptor>,
    token: Option<Token>,
    pub(super) max_connections: usize,
    pub(super) timeout: Duration,
}

/// A token by which others are judged; the token itself is not kept.
struct Token {
    key: hmac::Key,
    tag: hmac::Tag,
}

impl Access {
    /// Reads certificates and token.
    ///
    /// # Errors
    /// Which file cannot be used, and why; never what stands in it.
    pub fn read(config: &Http) -> anyhow::Result<Self> {
        let tls = match (&config.tls_cert, &config.tls_key) {
            (Some(cert), Some(key)) => Some(tls(cert, key)?),
            _ => None,
        };
        let token = config.token_file.as_deref().map(Token::read).transpose()?;
        Ok(Self {
            tls,
            token,
            max_connections: usize::try_from(config.max_connections).unwrap_or(usize::MAX),
            timeout: config.timeout,
        })
    }

    /// Whether a value of `Authorization` (RFC 6750, 2.1) opens what a token closes.
    pub(super) fn admits(&self, authorization: Option<&[u8]>) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let presented = authorization.and_then(|value| {
            let (scheme, rest) = value.split_at_checked("bearer".len())?;
            let word = rest.trim_ascii();
            (scheme.eq_ignore_ascii_case(b"bearer") && word.len() < rest.len()).then_some(word)
        });
        presented.is_some_and(|presented| token.is(presented))
    }
}

impl Token {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let files = Files {
            bearer: Some(path),
            ..Files::default()
        };
        let header = Credentials::read(files, &|_| None)?.header();
        let header = header.context("there is no token")?;
        let token = header.trim_start_matches("Bearer ");
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| anyhow!("the kernel gives no random numbers"))?;
        let tag = hmac::sign(&key, token.as_bytes());
        Ok(Self { key, tag })
    }

    /// Takes as long whatever is presented: it compares digests, in constant time.
    fn is(&self, presented: &[u8]) -> bool {
        hmac::verify(&self.key, presented, self.tag.as_ref()).is_ok()
    }
}

fn tls(cert: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read certificates from {}", cert.display()))?;
    let private = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read a private key from {}", key.display()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .with_context(|| {
            format!(
                "{} and {} are no certificate and its key",
                cert.display(),
                key.display()
            )
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
