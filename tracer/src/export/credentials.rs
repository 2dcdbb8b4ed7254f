//! Secrets: where they come from, and that they go nowhere but to the far end. They are read from files and from the
//! environment, never from the command line, which every process of the machine can read.

use std::{fmt, fs::File, io::Read as _, path::Path};

use anyhow::{Context as _, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Largest file that is taken for a secret.
const MAX_BYTES: u64 = 64 << 10;
/// What stands for a secret in words.
pub const MASK: &str = "***";

/// Something that nobody else may see: it has no way into words but [`MASK`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text, without the line break that editors leave at its end.
    ///
    /// # Errors
    /// When it is empty, or holds characters that cannot stand in a header.
    pub fn new(text: &str) -> anyhow::Result<Self> {
        let text = text.trim_end_matches(['\n', '\r']);
        ensure!(!text.is_empty(), "it is empty");
        ensure!(
            text.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "it holds characters other than those of one line of ASCII"
        );
        Ok(Self(text.to_owned()))
    }

    /// The secret itself, for the far end.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(MASK)
    }
}

/// How a request proves who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Authorization {
    /// A token.
    Bearer(Secret),
    /// User and password.
    Basic(Secret),
}

/// All secrets of one export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    authorization: Option<Authorization>,
    /// The integration key of PagerDuty.
    pub routing_key: Option<Secret>,
}

/// Files that hold secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files<'a> {
    /// A bearer token.
    pub bearer: Option<&'a Path>,
    /// `user:password`.
    pub basic: Option<&'a Path>,
    /// The integration key of PagerDuty.
    pub routing_key: Option<&'a Path>,
}

/// The environment variables that hold the same.
pub const VARIABLES: [&str; 3] = ["TCPRESS_BEARER", "TCPRESS_BASIC", "TCPRESS_ROUTING_KEY"];

impl Credentials {
    /// Reads the secrets: each from its file, if one is given, else from the environment.
    ///
    /// # Errors
    /// When a file cannot be read, a secret is none, or there are both a token and a password.
    pub fn read(
        files: Files<'_>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        let [bearer, basic, routing_key] = VARIABLES;
        let authorization_given = files.bearer.is_some() || files.basic.is_some();
        // What a file says of it outweighs the environment, whichever way it is.
        let inherited = |variable| (!authorization_given).then_some(variable);
        let bearer = secret(files.bearer, inherited(bearer), environment)?;
        let basic = secret(files.basic, inherited(basic), environment)?;
        if basic.as_ref().is_some_and(|it| !it.0.contains(':')) {
            bail!("user and password must be written as user:password");
        }
        let authorization = match (bearer, basic) {
            (Some(_), Some(_)) => {
                bail!("give either a bearer token or user and password, not both")
            }
            (Some(token), None) => Some(Authorization::Bearer(token)),
            (None, Some(pair)) => Some(Authorization::Basic(pair)),
            (None, None) => None,
        };
        Ok(Self {
            authorization,
            routing_key: secret(files.routing_key, Some(routing_key), environment)?,
        })
    }

    /// Whether there is any secret.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The `Authorization` header; `None` where there is none.
    #[must_use]
    pub fn header(&self) -> Option<String> {
        Some(match self.authorization.as_ref()? {
            Authorization::Bearer(token) => format!("Bearer {}", token.0),
            Authorization::Basic(pair) => format!("Basic {}", STANDARD.encode(&pair.0)),
        })
    }

    /// Text in which every secret, in each form in which it is sent, is masked: far ends and proxies repeat what they were told.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let mut secrets: Vec<String> = Vec::new();
        match &self.authorization {
            Some(Authorization::Bearer(token)) => secrets.push(token.0.clone()),
            Some(Authorization::Basic(pair)) => {
                secrets.push(pair.0.clone());
                secrets.push(STANDARD.encode(&pair.0));
                let (_, password) = pair.0.split_once(':').unwrap_or_default();
                secrets.push(password.to_owned());
            }
            None => {}
        }
        secrets.extend(self.routing_key.iter().map(|key| key.0.clone()));
        secrets.retain(|secret| !secret.is_empty());
        // The longest first: one may be a part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
            .iter()
            .fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
    }
}

fn secret(
    file: Option<&Path>,
    variable: Option<&str>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> anyhow::Result<Option<Secret>> {
    if let Some(path) = file {
        let name = path.display();
        let mut text = String::new();
        let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
        file.take(MAX_BYTES)
            .read_to_string(&mut text)
            .with_context(|| format!("cannot read {name}"))?;
        let secret = Secret::new(&text).with_context(|| format!("{name} holds no secret"))?;
        return Ok(Some(secret));
    }
    let Some(variable) = variable else {
        return Ok(None);
    };
    let text = environment(variable).filter(|text| !text.is_empty());
    text.map(|text| Secret::new(&text).with_context(|| format!("{variable} holds no secret")))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn secrets_come_from_files_and_from_the_environment() {
        let folder = Fixture::new();
        folder
            .file("token", "t0ken\n")
            .file("pair", "ann:hunter2\r\n");
        let token = folder.path().join("token");
        let pair = folder.path().join("pair");
        let files = Files {
            bearer: Some(&token),
            ..Files::default()
        };
        let read = Credentials::read(files, &nothing).unwrap();
        assert_eq!(read.header().as_deref(), Some("Bearer t0ken"));

        // RFC 7617 has "Aladdin:open sesame".
        let environment =
            |name: &str| (name == "TCPRESS_BASIC").then(|| "Aladdin:open sesame".to_owned());
        let read = Credentials::read(Files::default(), &environment).unwrap();
        assert_eq!(
            read.header().as_deref(),
            Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
        );
        let read = Credentials::read(files, &environment).unwrap();
        assert_eq!(
            read.header().as_deref(),
            Some("Bearer t0ken"),
            "the file wins"
        );

        let both = Files {
            basic: Some(&pair),
            ..files
        };
        assert!(Credentials::read(both, &nothing).is_err());
        assert!(
            Credentials::read(Files::default(), &nothing)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_repeated() {
        let folder = Fixture::new();
        for (name, text) in [
            ("empty", "\n"),
            ("lines", "hunter2\nhunter3"),
            ("control", "hunter2\u{1b}"),
            ("absent", ""),
        ] {
            if name != "absent" {
                folder.file(name, text);
            }
            let path = folder.path().join(name);
            let files = Files {
                bearer: Some(&path),
                ..Files::default()
            };
            let why = format!("{:#}", Credentials::read(files, &nothing).unwrap_err());
            assert!(why.contains(name), "{why}");
            assert!(!why.contains("hunter"), "{why}");
        }
        folder.file("pair", "hunter2");
        let path = folder.path().join("pair");
        let files = Files {
            basic: Some(&path),
            ..Files::default()
        };
        let why = format!("{:#}", Credentials::read(files, &nothing).unwrap_err());
        assert!(!why.contains("hunter"), "{why}");
    }

    #[test]
    fn no_words_hold_a_secret() {
        let environment = |name: &str| match name {
            "TCPRESS_BASIC" => Some("ann:hunter2".to_owned()),
            "TCPRESS_ROUTING_KEY" => Some("R0UTE".to_owned()),
            _ => None,
        };
        let read = Credentials::read(Files::default(), &environment).unwrap();
        // printf ann:hunter2 | base64
        let words = "no ann:hunter2, not YW5uOmh1bnRlcjI=, not hunter2 alone, not R0UTE";
        assert_eq!(read.mask(words), "no ***, not ***, not *** alone, not ***");
        let debug = format!("{read:?}");
        assert!(
            !debug.contains("hunter2") && !debug.contains("R0UTE"),
            "{debug}"
        );
    }
}
