//! Sends one message, with as many tries as the policy allows.

use std::{cell::Cell, fmt::Write as _, time::Duration};

use anyhow::ensure;
use hyper::Method;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value;

use super::{
    Address, Credentials, Failure, Message, Policy, Protocol, Resolver, Trust,
    credentials::MASK,
    exchange::{Answer, Ask, Client, idempotency_key},
    jira,
};

/// Sends messages to far ends.
pub struct Sender<'a> {
    client: Client,
    credentials: Credentials,
    policy: Policy,
    say: &'a dyn Fn(&str),
    delivered: Cell<u64>,
}

/// How a sender works.
pub struct Settings<'a> {
    /// Whom to trust; `None` is enough for addresses without encryption.
    pub trust: Option<&'a Trust>,
    /// How names are looked up.
    pub resolver: Resolver,
    /// Time for one try.
    pub timeout: Duration,
    /// Secrets.
    pub credentials: Credentials,
    /// When to try again.
    pub policy: Policy,
    /// Is told each try that failed.
    pub say: &'a dyn Fn(&str),
}

impl<'a> Sender<'a> {
    /// A sender.
    ///
    /// # Errors
    /// When the trust cannot be used.
    pub fn new(settings: Settings<'a>) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::new(settings.trust, settings.resolver, settings.timeout)?,
            credentials: settings.credentials,
            policy: settings.policy,
            say: settings.say,
            delivered: Cell::new(0),
        })
    }

    /// Messages that far ends have taken so far.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.delivered.get()
    }

    /// Sends a message, and says in words what the far end made of it. Every try has the same key.
    ///
    /// # Errors
    /// When the last try has failed, or one for which nothing helps.
    pub async fn deliver(&self, message: &Message) -> Result<String, Failure> {
        let to: Address = message
            .to
            .parse()
            .map_err(|why| Failure::setup(format!("no address: {why}")))?;
        let mut failed = 0;
        loop {
            let failure = match self.once(message, &to).await {
                Ok(words) => {
                    self.delivered.set(self.delivered.get() + 1);
                    return Ok(self.credentials.mask(&words));
                }
                Err(failure) => Failure {
                    words: self.credentials.mask(&failure.words),
                    ..failure
                },
            };
            failed += 1;
            let wait = match failure.remedy {
                super::Remedy::Time => self.policy.wait(failed, failure.asked, random()),
                _ => None,
            };
            let Some(mut wait) = wait else {
                return Err(gave_up(failure, failed));
            };
            if failure.maybe_done && message.protocol == Protocol::Jira {
                wait = wait.max(self.policy.settle);
            }
            (self.say)(&format!(
                "{failure}; again in {:.1} s (try {} of {})",
                wait.as_secs_f64(),
                failed + 1,
                u64::from(self.policy.retries) + 1
            ));
            tokio::time::sleep(wait).await;
        }
    }

    async fn once(&self, message: &Message, to: &Address) -> Result<String, Failure> {
        let authorization = self.credentials.header();
        self.may_be_sent(to)
            .map_err(|why| Failure::setup(why.to_string()))?;
        if message.protocol == Protocol::Jira {
            let ask = |method, to: &Address, body| {
                let key = &message.key;
                let authorization = authorization.as_deref();
                let media_type = &message.media_type;
                let to = to.clone();
                async move {
                    let ask = Ask {
                        method,
                        to: &to,
                        media_type,
                        body,
                        key,
                        authorization,
                    };
                    self.client.exchange(&ask).await?.good(&to)
                }
            };
            return jira::deliver(message, to, &ask).await;
        }
        let ask = Ask {
            method: Method::POST,
            to,
            media_type: &message.media_type,
            body: self.body(message)?,
            key: &message.key,
            authorization: authorization.as_deref(),
        };
        let answer = self.client.exchange(&ask).await?.good(to)?;
        Ok(accepted(to, &answer))
    }

    /// Secrets go nowhere in the clear.
    fn may_be_sent(&self, to: &Address) -> anyhow::Result<()> {
        ensure!(
            to.is_encrypted() || self.credentials.is_empty(),
            "{to} is not encrypted, and there are credentials to send: use https"
        );
        Ok(())
    }

    /// The body with the secret that belongs in it.
    fn body(&self, message: &Message) -> Result<String, Failure> {
        if message.protocol != Protocol::Pagerduty {
            return Ok(message.body.clone());
        }
        let Some(key) = &self.credentials.routing_key else {
            return Err(Failure::setup(
                "PagerDuty takes no event without a routing key: give it by --routing-key-file or TCPRESS_ROUTING_KEY"
                    .to_owned(),
            ));
        };
        keyed(&message.body, key.reveal()).map_err(|why| Failure::rejected(why.to_string()))
    }

    /// What would be sent, as HTTP writes it, with all secrets masked.
    ///
    /// # Errors
    /// When the message is no message, or would not be sent.
    pub fn preview(&self, message: &Message) -> anyhow::Result<String> {
        let to: Address = message.to.parse().map_err(anyhow::Error::msg)?;
        self.may_be_sent(&to)?;
        let mut out = String::new();
        if message.protocol == Protocol::Jira {
            let (search, question) = jira::search(message, &to)?;
            self.head(&mut out, Method::POST, &search, message, question.len());
            writeln!(out, "{question}\n")?;
            writeln!(
                out,
                "If that finds an issue, it is updated (PUT {}/KEY) with its summary and description; else:\n",
                to.path()
            )?;
        }
        let body = match message.protocol {
            Protocol::Pagerduty => {
                self.body(message)?;
                keyed(&message.body, MASK)?
            }
            _ => message.body.clone(),
        };
        self.head(
            &mut out,
            Method::POST,
            &to,
            message,
            self.body(message)?.len(),
        );
        out.push_str(body.trim_end());
        out.push('\n');
        Ok(out)
    }

    fn head(
        &self,
        out: &mut String,
        method: Method,
        to: &Address,
        message: &Message,
        length: usize,
    ) {
        // The query of an address may hold what is nobody's business.
        let path = to.path().split('?').next().unwrap_or_default();
        let query = if path.len() < to.path().len() {
            "?…"
        } else {
            ""
        };
        out.push_str(&format!(
            "{method} {path}{query} HTTP/1.1\nHost: {}\nContent-Type: {}\nContent-Length: {length}\nIdempotency-Key: {}\n",
            to.authority(),
            message.media_type,
            idempotency_key(&message.key),
        ));
        if let Some(header) = self.credentials.header() {
            let scheme = header.split(' ').next().unwrap_or_default();
            out.push_str(&format!("Authorization: {scheme} {MASK}\n"));
        }
        out.push('\n');
    }
}

/// PagerDuty's event with its routing key.
fn keyed(body: &str, key: &str) -> serde_json::Result<String> {
    let mut event: Value = serde_json::from_str(body)?;
    if let Some(event) = event.as_object_mut() {
        event.insert("routing_key".to_owned(), key.into());
    }
    serde_json::to_string(&event)
}

fn accepted(to: &Address, answer: &Answer) -> String {
    format!("{to} answers {}", answer.status)
}

fn gave_up(failure: Failure, tries: u32) -> Failure {
    let words = match (tries, failure.asked) {
        (1, None) => failure.words.clone(),
        (_, None) => format!("{}; gave up after {tries} tries", failure.words),
        (_, Some(asked)) => format!(
            "{}; it asks to be left alone for {} s; gave up after {tries} tries",
            failure.words,
            asked.as_secs()
        ),
    };
    Failure { words, ..failure }
}

/// Between 0 and 1. Without a source of randomness half is as good as any.
fn random() -> f64 {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}
