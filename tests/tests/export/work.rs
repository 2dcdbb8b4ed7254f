//! What is sent, and by whom, in all of these tests.

use std::{cell::RefCell, fs, net::SocketAddr, path::Path, time::Duration};

use tracer::{
    export::{
        Address, Credentials, JiraPlace, Message, Policy, Resolver, Sender, Settings, Trust,
        credentials::Files,
    },
    output::Format,
    report::Report,
};

use crate::folder::Folder;

/// A time that no try takes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A report by its golden file.
pub(crate) fn report(name: &str) -> Report {
    let path = golden(name);
    let text = fs::read_to_string(&path).expect("a golden report");
    serde_json::from_str(&text).expect("a report")
}

/// The golden file of a report.
pub(crate) fn golden(name: &str) -> String {
    format!("{}/golden/{name}.json", env!("CARGO_MANIFEST_DIR"))
}

/// The message of a golden report.
pub(crate) fn message(name: &str, format: Format, to: &str) -> Message {
    let to: Address = to.parse().expect("an address");
    let place = JiraPlace {
        project: "OPS".to_owned(),
        issue_type: "Bug".to_owned(),
    };
    Message::new(&report(name), format, &to, &place)
        .expect("a rendering")
        .expect("something to send")
}

/// The URL of a path on a server, by the name that its certificate has.
pub(crate) fn url(at: SocketAddr, path: &str) -> String {
    format!("https://localhost:{}{path}", at.port())
}

/// The same without encryption.
pub(crate) fn plain_url(at: SocketAddr, path: &str) -> String {
    format!("http://{at}{path}")
}

/// Trust in one authority.
pub(crate) fn trust(pem: &str) -> Trust {
    let folder = Folder::new();
    let path = folder.path().join("ca.pem");
    fs::write(&path, pem).expect("a file");
    Trust::file(&path).expect("an authority")
}

/// Secrets by the names of their variables.
pub(crate) fn credentials(secrets: &[(&str, &str)]) -> Credentials {
    let environment = |name: &str| {
        let secret = secrets.iter().find(|(it, _)| *it == name);
        secret.map(|(_, value)| (*value).to_owned())
    };
    Credentials::read(Files::default(), &environment).expect("secrets")
}

/// Words that were said.
#[derive(Default)]
pub(crate) struct Words(RefCell<Vec<String>>);

impl Words {
    pub(crate) fn say(&self, words: &str) {
        self.0.borrow_mut().push(words.to_owned());
    }

    pub(crate) fn all(&self) -> String {
        self.0.borrow().join("\n")
    }

    pub(crate) fn count(&self) -> usize {
        self.0.borrow().len()
    }
}

/// Many tries without a wait between them.
pub(crate) fn policy() -> Policy {
    Policy {
        retries: 20,
        base: Duration::from_micros(1),
        cap: Duration::from_micros(1),
        settle: Duration::ZERO,
        ..Policy::default()
    }
}

/// A sender with all that can be chosen.
pub(crate) fn sender<'a>(
    trust: Option<&'a Trust>,
    secrets: &[(&str, &str)],
    timeout: Duration,
    policy: Policy,
    say: &'a dyn Fn(&str),
) -> Sender<'a> {
    Sender::new(Settings {
        trust,
        resolver: Resolver::default(),
        timeout,
        credentials: credentials(secrets),
        policy,
        say,
    })
    .expect("a sender")
}

/// Names of the files in a folder, in order.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = names
        .map(|it| {
            it.expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}
