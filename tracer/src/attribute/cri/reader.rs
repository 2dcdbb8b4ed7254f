//! The thread that asks container runtimes, so that nobody else waits for them.

use std::{
    io,
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc as asks, time};

use super::{
    message::{Hints, Listing, SeenStatus},
    read::{Runtime, Told},
};

/// What the thread may take beyond its time on a busy machine, before one no longer waits for it.
pub const GRACE: Duration = Duration::from_millis(500);
/// Pods that are asked for one by one; for more, everything is listed.
const PODS_MAX: usize = 8;
/// Where runtimes listen: containerd, that of k3s, CRI-O, cri-dockerd.
const USUAL: [&str; 4] = [
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/cri-dockerd.sock",
];

/// Which sockets are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sockets {
    /// Whichever of the usual ones is there, as this process sees it or as the first process of the node does.
    #[default]
    Usual,
    /// These.
    Given(Vec<PathBuf>),
    /// None at all.
    None,
}

impl Sockets {
    /// The sockets to ask, on a node with this procfs.
    fn paths(&self, proc: &Path) -> Vec<PathBuf> {
        let root = proc.join("1/root");
        let seen = |path: &&str| {
            let inside = root.join(path.trim_start_matches('/'));
            [PathBuf::from(path), inside]
                .into_iter()
                .find(|path| path.exists())
        };
        match self {
            Self::Usual => USUAL.iter().filter_map(seen).collect(),
            Self::Given(paths) => paths.clone(),
            Self::None => Vec::new(),
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Everything.
    All,
    /// The pods with these UIDs.
    Pods(Vec<String>),
    /// The verbose status of these sandboxes.
    Statuses(Vec<String>),
}

/// An answer of all runtimes together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// What they list.
    pub listing: Listing,
    /// Whether that is everything there is.
    pub whole: bool,
    /// Whether one of them did not answer, or none listens.
    pub failed: bool,
    /// Statuses.
    pub statuses: Vec<SeenStatus>,
    /// In words: who answered.
    pub runtimes: Vec<String>,
    /// In words: what could not be learnt.
    pub gaps: Vec<String>,
}

/// The thread, seen from outside. It ends when this is dropped and its last call is over.
#[derive(Debug)]
pub struct Reader {
    asks: asks::UnboundedSender<What>,
    answers: Receiver<Answer>,
    /// When the asking began that was not answered yet.
    open: Option<Instant>,
    patience: Duration,
}

impl Reader {
    /// Starts the thread. One asking, over all runtimes and calls, takes no longer than `patience`.
    ///
    /// # Errors
    /// When no thread is to be had.
    pub fn start(
        sockets: Sockets,
        proc: &Path,
        hints: Hints,
        patience: Duration,
    ) -> io::Result<Self> {
        let (asks, mut asked) = asks::unbounded_channel();
        let (tell, answers) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let proc = proc.to_owned();
        let work = async move {
            let mut runtimes = Vec::new();
            while let Some(what) = asked.recv().await {
                // Each time anew: one that is being restarted has no socket for a while.
                let paths = sockets.paths(&proc);
                let answer = match paths.is_empty() {
                    true => Answer::of_nobody(),
                    false => {
                        adjust(&mut runtimes, &paths);
                        ask(&mut runtimes, &what, &hints, patience).await
                    }
                };
                if tell.send(answer).is_err() {
                    break;
                }
            }
        };
        let thread = thread::Builder::new().name("cri".into());
        thread.spawn(move || runtime.block_on(work))?;
        Ok(Self {
            asks,
            answers,
            open: None,
            patience,
        })
    }

    /// Asks; the answer is taken later. While another answer is awaited nothing is asked, and `false` says so.
    pub fn ask(&mut self, what: What) -> bool {
        let asked = self.open.is_none() && self.asks.send(what).is_ok();
        if asked {
            self.open = Some(Instant::now());
        }
        asked
    }

    /// Whether an answer is awaited.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The answer, if it has come.
    pub fn ready(&mut self) -> Option<Answer> {
        self.open?;
        let answer = self.answers.try_recv().ok()?;
        self.open = None;
        Some(answer)
    }

    /// The answer, for which one waits until its time is up, or until `end`; `None` when nothing was asked.
    pub fn wait(&mut self, end: Instant) -> Option<Answer> {
        let end = end.min(self.open? + self.patience + GRACE);
        let left = end.saturating_duration_since(Instant::now());
        if let Ok(answer) = self.answers.recv_timeout(left) {
            self.open = None;
            return Some(answer);
        }
        Some(Answer {
            gaps: vec![
                "the container runtime was still being asked when its time was up".to_owned(),
            ],
            ..Answer::default()
        })
    }
}

/// Keeps the connections to runtimes whose sockets are still there.
fn adjust(runtimes: &mut Vec<Runtime>, paths: &[PathBuf]) {
    runtimes.retain(|runtime| paths.iter().any(|path| path == runtime.path()));
    for path in paths {
        if !runtimes.iter().any(|runtime| runtime.path() == path) {
            runtimes.push(Runtime::new(path));
        }
    }
}

/// Asks all runtimes at the same time.
async fn ask(
    runtimes: &mut Vec<Runtime>,
    what: &What,
    hints: &Hints,
    patience: Duration,
) -> Answer {
    let deadline = time::Instant::now() + patience;
    let few = match what {
        What::Pods(uids) if uids.len() <= PODS_MAX => Some(uids.clone()),
        _ => None,
    };
    let mut tasks = tokio::task::JoinSet::new();
    for mut runtime in runtimes.drain(..) {
        let (what, hints, few) = (what.clone(), hints.clone(), few.clone());
        tasks.spawn(async move {
            let told = match &what {
                What::Statuses(sandboxes) => runtime.statuses(sandboxes, deadline).await,
                What::All | What::Pods(_) => runtime.list(few.as_deref(), &hints, deadline).await,
            };
            (runtime, told)
        });
    }
    let mut answer = Answer::default();
    let mut failed = false;
    let mut everything = few.is_none() && !matches!(what, What::Statuses(_));
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok((runtime, told)) => {
                failed |= !told.gaps.is_empty();
                everything &= told.gaps.is_empty() && told.listing.beyond == 0;
                answer.add(runtime.path(), told);
                runtimes.push(runtime);
            }
            Err(error) => {
                (everything, failed) = (false, true);
                let gap = format!("a container runtime was not asked to the end: {error}");
                answer.gaps.push(gap);
            }
        }
    }
    answer.whole = everything;
    answer.failed = failed;
    answer
}

impl Answer {
    fn of_nobody() -> Self {
        Self {
            failed: true,
            gaps: vec![format!(
                "no container runtime listens at {}",
                USUAL.join(", ")
            )],
            ..Self::default()
        }
    }

    fn add(&mut self, socket: &Path, told: Told) {
        let socket = socket.display();
        let faults = told.listing.gaps();
        let Listing {
            mut pods,
            mut containers,
            ..
        } = told.listing;
        self.listing.pods.append(&mut pods);
        self.listing.containers.append(&mut containers);
        self.statuses.extend(told.statuses);
        self.runtimes
            .extend(told.name.map(|name| format!("{name} at {socket}")));
        let gaps = told.gaps.into_iter().chain(faults);
        self.gaps
            .extend(gaps.map(|gap| format!("container runtime at {socket}: {gap}")));
    }
}
