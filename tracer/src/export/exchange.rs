//! One request and its answer, on a connection of its own, within a time.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::{CertificateError, ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::{Address, Failure, Resolver, Trust, address::Host, retry::retry_after};
use crate::output::text;

/// Most of an answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// Most of an answer that is shown, in characters.
const MAX_SHOWN: usize = 200;

/// Makes requests.
#[derive(Clone)]
pub(super) struct Client {
    tls: Option<Arc<ClientConfig>>,
    /// In words: whom it trusts.
    trust: String,
    resolver: Resolver,
    timeout: Duration,
}

/// What is asked of the far end.
#[derive(Clone, Debug)]
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) to: &'a Address,
    pub(super) media_type: &'a str,
    pub(super) body: String,
    /// By which the far end knows a repeat.
    pub(super) key: &'a str,
    /// The header that proves who asks.
    pub(super) authorization: Option<&'a str>,
}

/// What the far end said.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) asked: Option<Duration>,
    pub(super) body: Bytes,
}

impl Client {
    /// A client; without trust it can send without encryption only.
    pub(super) fn new(
        trust: Option<&Trust>,
        resolver: Resolver,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            tls: trust.map(Trust::config).transpose()?.map(Arc::new),
            trust: trust.map_or_else(String::new, |it| it.source.clone()),
            resolver,
            timeout,
        })
    }

    /// One exchange from the look-up of the name to the end of the answer.
    pub(super) async fn exchange(&self, ask: &Ask<'_>) -> Result<Answer, Failure> {
        let end = Instant::now() + self.timeout;
        let stream = self.connect(ask.to, end).await?;
        if !ask.to.is_encrypted() {
            return self.request(stream, ask, end).await;
        }
        let stream = self.encrypt(stream, ask.to, end).await?;
        self.request(stream, ask, end).await
    }

    async fn connect(&self, to: &Address, end: Instant) -> Result<TcpStream, Failure> {
        let addresses = match to.host() {
            Host::Number(address) => vec![address],
            Host::Name(name) => self.within(end, to, self.resolver.lookup(&name)).await??,
        };
        let mut trouble = String::new();
        let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        for address in addresses {
            let address = SocketAddr::new(address, to.port());
            // Each gets its share, so that one that swallows packets leaves some for the others.
            let share = end.saturating_duration_since(Instant::now()) / left.max(1);
            left = left.saturating_sub(1);
            match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => trouble.push_str(&format!("; {address}: {error}")),
                Err(_) => trouble.push_str(&format!("; {address}: no answer")),
            }
        }
        Err(Failure::passing(format!("cannot connect to {to}{trouble}")))
    }

    async fn encrypt(
        &self,
        stream: TcpStream,
        to: &Address,
        end: Instant,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, Failure> {
        let Some(tls) = &self.tls else {
            return Err(Failure::setup(format!("no certificates to trust for {to}")));
        };
        let name = match to.host() {
            Host::Number(address) => Ok(ServerName::from(address)),
            Host::Name(name) => ServerName::try_from(name),
        };
        let name = name.map_err(|why| Failure::setup(format!("{to}: {why}")))?;
        let connector = TlsConnector::from(Arc::clone(tls));
        let stream = self
            .within(end, to, connector.connect(name, stream))
            .await?;
        stream.map_err(|error| {
            let inner = error.get_ref().and_then(|it| it.downcast_ref());
            match inner {
                // Who it is does not change by itself.
                Some(rustls::Error::InvalidCertificate(why)) => {
                    let why = match why {
                        CertificateError::UnknownIssuer => {
                            "nobody who is trusted has signed its certificate".to_owned()
                        }
                        why => why.to_string(),
                    };
                    Failure::setup(format!(
                        "{to} cannot be trusted: {why} (trusted are {}); another authority is given by --ca FILE",
                        self.trust
                    ))
                }
                _ => Failure::passing(format!("no encrypted connection to {to}: {error}")),
            }
        })
    }

    async fn request(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        ask: &Ask<'_>,
        end: Instant,
    ) -> Result<Answer, Failure> {
        let to = ask.to;
        let request = request(ask).map_err(|why| Failure::setup(format!("{to}: {why}")))?;
        let maybe = |failure: Failure| Failure {
            maybe_done: true,
            ..failure
        };
        let broken = |error: hyper::Error| {
            let why = anyhow::Error::from(error);
            Failure::passing(format!("{to} broke off the connection: {why:#}"))
        };
        let (mut sender, connection) = self
            .within(end, to, http1::handshake(TokioIo::new(stream)))
            .await?
            .map_err(broken)?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            answer(response, to).await
        };
        // The connection ends with the exchange; what becomes of it afterwards is nobody's matter.
        let both = async {
            tokio::pin!(connection);
            tokio::pin!(exchange);
            tokio::select! {
                biased;
                answer = &mut exchange => answer,
                _ = &mut connection => exchange.await,
            }
        };
        self.within(end, to, both)
            .await
            .map_err(maybe)?
            .map_err(maybe)
    }

    async fn within<T>(
        &self,
        end: Instant,
        to: &Address,
        work: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        timeout_at(end, work)
            .await
            .map_err(|_| Failure::passing(format!("{to} did not answer within {:?}", self.timeout)))
    }
}

fn request(ask: &Ask<'_>) -> anyhow::Result<Request<Full<Bytes>>> {
    let mut request = Request::builder()
        .method(&ask.method)
        .uri(ask.to.path())
        .header(HOST, ask.to.authority())
        .header(USER_AGENT, concat!("tcpress/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/json, */*")
        .header(CONTENT_TYPE, ask.media_type)
        .header("Idempotency-Key", idempotency_key(ask.key));
    if let Some(authorization) = ask.authorization {
        let mut value = HeaderValue::from_str(authorization)?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    Ok(request.body(Full::new(Bytes::from(ask.body.clone())))?)
}

/// The value of an `Idempotency-Key` header: a string of structured fields (draft-ietf-httpapi-idempotency-key-header, RFC 9651).
pub(super) fn idempotency_key(key: &str) -> String {
    format!("\"{key}\"")
}

async fn answer(response: Response<Incoming>, to: &Address) -> Result<Answer, Failure> {
    let asked = response.headers().get(RETRY_AFTER);
    let asked = asked.and_then(|value| retry_after(value.to_str().ok()?, Timestamp::now()));
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await;
    let body = match body {
        Ok(body) => body.to_bytes(),
        // What was said at length was said.
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Bytes::new(),
        Err(error) => {
            return Err(Failure::passing(format!(
                "{to} broke off its answer {status}: {error}"
            )));
        }
    };
    Ok(Answer {
        status,
        asked,
        body,
    })
}

impl Answer {
    /// The answer if it is a good one; else what it means (for statuses see RFC 9110, 15).
    pub(super) fn good(self, to: &Address) -> Result<Self, Failure> {
        if self.status.is_success() {
            return Ok(self);
        }
        let shown = String::from_utf8_lossy(&self.body);
        let shown = match text::clean(shown.trim(), MAX_SHOWN) {
            shown if shown.is_empty() => String::new(),
            shown => format!(": {shown}"),
        };
        let words = format!("{to} answers {}{shown}", self.status);
        Err(match self.status {
            // 409 by the draft on idempotency keys: the same request is still being worked on.
            StatusCode::REQUEST_TIMEOUT
            | StatusCode::CONFLICT
            | StatusCode::TOO_EARLY
            | StatusCode::TOO_MANY_REQUESTS => Failure::passing(words),
            status if status.is_server_error() => Failure::passing(words),
            StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::PROXY_AUTHENTICATION_REQUIRED
            | StatusCode::GONE => Failure::setup(words),
            status if status.is_redirection() => Failure::setup(format!(
                "{words}; it sends on to another address, which is not followed"
            )),
            _ => Failure::rejected(words),
        })
        .map_err(|failure| Failure {
            asked: self.asked,
            ..failure
        })
    }
}
