//! Tokens and certificates.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio_rustls::TlsConnector;

use super::*;
use crate::fixture::Fixture;

fn with_token(folder: &Fixture, token: &str) -> Http {
    folder.file("token", token);
    Http {
        token_file: Some(folder.path().join("token")),
        ..http()
    }
}

async fn with(running: &Running, path: &str, header: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{header}Connection: close\r\n\r\n");
    running.say(request.as_bytes()).await
}

#[tokio::test]
async fn a_token_opens_and_nothing_else_does() {
    let folder = Fixture::new();
    let running = Running::new(&with_token(&folder, "hunter2\n"));
    running.known.unwell.store(true, Ordering::Relaxed);
    for path in ["/metrics", "/report", "/debug/plan"] {
        for header in [
            "",
            "Authorization: Bearer hunter\r\n",
            "Authorization: Bearer hunter22\r\n",
            "Authorization: Bearer \r\n",
            "Authorization: Bearer\r\n",
            "Authorization: Bearerhunter2\r\n",
            "Authorization: Basic hunter2\r\n",
            "Authorization: hunter2\r\n",
            "Authorization: Bearer Bearer hunter2\r\n",
            "Authorization: \r\n",
        ] {
            let answer = with(&running, path, header).await;
            assert!(answer.starts_with("HTTP/1.1 401 "), "{header}: {answer}");
            assert!(answer.contains("www-authenticate: Bearer\r\n"), "{answer}");
            assert!(!answer.contains("hunter"), "{answer}");
        }
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let header = format!("Authorization: {scheme} hunter2\r\n");
            let answer = with(&running, path, &header).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
    }
    // The kubelet's probes have none, and learn no more than they need.
    for path in ["/healthz", "/readyz"] {
        let answer = with(&running, path, "").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(!answer.contains("secret reason"), "{answer}");
        let answer = with(&running, path, "Authorization: Bearer hunter2\r\n").await;
        assert!(answer.contains("secret reason"), "{answer}");
    }
}

#[tokio::test]
async fn a_new_token_holds_from_the_next_connection_on() {
    let folder = Fixture::new();
    let config = with_token(&folder, "first");
    let running = Running::new(&config);
    folder.file("token", "second");
    running.server.renew(Access::read(&config).unwrap());
    let old = with(&running, "/metrics", "Authorization: Bearer first\r\n").await;
    assert!(old.starts_with("HTTP/1.1 401 "), "{old}");
    let new = with(&running, "/metrics", "Authorization: Bearer second\r\n").await;
    assert!(new.starts_with("HTTP/1.1 200 "), "{new}");
}

#[test]
fn files_that_cannot_be_used_are_named_without_what_they_hold() {
    let folder = Fixture::new();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["a".to_owned()]).unwrap();
    let other = generate_simple_self_signed(["a".to_owned()]).unwrap();
    folder
        .file("empty", "")
        .file("lines", "hunter2\nhunter3\n")
        .file("cert", &cert.pem())
        .file("key", &signing_key.serialize_pem())
        .file("other", &other.signing_key.serialize_pem());
    let at = |name: &str| Some(folder.path().join(name));
    let token = |name| Http {
        token_file: at(name),
        ..http()
    };
    let pair = |cert, key| Http {
        tls_cert: at(cert),
        tls_key: at(key),
        ..http()
    };
    for (config, name) in [
        (token("absent"), "absent"),
        (token("empty"), "empty"),
        (token("lines"), "lines"),
        (pair("absent", "key"), "absent"),
        (pair("empty", "key"), "empty"),
        (pair("cert", "empty"), "empty"),
        (pair("cert", "cert"), "cert"),
        (pair("cert", "other"), "other"),
    ] {
        let Err(why) = Access::read(&config) else {
            panic!("{name} was taken");
        };
        let why = format!("{why:#}");
        assert!(why.contains(name), "{why}");
        assert!(!why.contains("hunter"), "{why}");
    }
    assert!(Access::read(&pair("cert", "key")).is_ok());
}

#[tokio::test]
async fn it_is_encrypted_where_certificates_are_given() {
    let folder = Fixture::new();
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    folder
        .file("cert", &cert.pem())
        .file("key", &signing_key.serialize_pem());
    let running = Running::new(&Http {
        tls_cert: Some(folder.path().join("cert")),
        tls_key: Some(folder.path().join("key")),
        ..http()
    });
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(client));
    let name = ServerName::try_from("localhost").unwrap();
    let stream = running.connect().await;
    let mut stream = connector.connect(name, stream).await.unwrap();
    for _ in 0..2 {
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        stream.flush().await.unwrap();
        assert!(one(&mut stream).await.ends_with("# EOF\n"));
    }
    // Whoever speaks in the clear gets nothing out of it.
    let answer = running.connect().await;
    let mut answer = answer;
    answer
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut got = Vec::new();
    let _ = timeout(FAILSAFE, answer.read_to_end(&mut got))
        .await
        .unwrap();
    assert!(!String::from_utf8_lossy(&got).contains("tcpress"));
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut_off() {
    let folder = Fixture::new();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["a".to_owned()]).unwrap();
    folder
        .file("cert", &cert.pem())
        .file("key", &signing_key.serialize_pem());
    let running = Running::new(&Http {
        tls_cert: Some(folder.path().join("cert")),
        tls_key: Some(folder.path().join("key")),
        timeout: Duration::from_millis(200),
        ..http()
    });
    let _silent = running.connect().await;
    running.until(|it| it.known.hits("http_time") == 1).await;
    running.until(|it| it.server.places.taken() == 0).await;
}
