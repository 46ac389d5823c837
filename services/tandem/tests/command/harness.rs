//! Runs the binary: once, or for as long as a test lasts.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The top of the repository, where examples are.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The command, which knows nothing of who runs the test.
pub(crate) fn tandem(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.args(args).current_dir(top()).stdin(Stdio::null());
    for name in ["TANDEM_LOG", "TANDEM_SERVER", "TANDEM_STORE", "TANDEM_TOKEN_FILE"] {
        command.env_remove(name);
    }
    command
}

/// What a run said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().expect("ended by itself");
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }

    /// With this code.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {self:#?}"))
    }
}

/// Runs to the end.
pub(crate) fn run(args: &[&str]) -> Said {
    Said::of(tandem(args).output().unwrap())
}

/// Compares with a file of `golden`; `TANDEM_BLESS=1` writes it anew.
#[track_caller]
pub(crate) fn golden(name: &str, now: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/command/golden").join(name);
    if std::env::var_os("TANDEM_BLESS").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == now, "{} is not what is said now:\n{now}", path.display());
}

/// Asks again until an answer fits.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < SOON, "in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process that goes on until it is told to end.
pub(crate) struct Running {
    child: Child,
    /// What it said when it was ready.
    pub(crate) ready: Value,
}

impl Running {
    /// Starts it with `--output json` and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command = tandem(args);
        command.args(["--output", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let said = serde_json::Deserializer::from_reader(out).into_iter::<Value>().next();
        let Some(Ok(ready)) = said else {
            let mut err = String::new();
            child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
            panic!("not ready: {said:?}\n{err}");
        };
        assert_eq!(ready["ready"], true, "{ready}");
        Self { child, ready }
    }

    /// `tandem up` on ports of its own.
    #[track_caller]
    pub(crate) fn up(args: &[&str]) -> Self {
        let mut all = vec!["up", "--grpc", "127.0.0.1:0", "--listen", "public=udp:127.0.0.1:0"];
        all.extend_from_slice(args);
        Self::start(&all)
    }

    /// The same for people; what it says when it is ready is not read.
    #[track_caller]
    pub(crate) fn in_words(args: &[&str]) -> Self {
        let mut command = tandem(&["up", "--grpc", "127.0.0.1:0", "--listen", "public=udp:127.0.0.1:0"]);
        let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        assert!(out.lines().any(|line| line.unwrap().contains("Ctrl-C ends it.")), "it is ready");
        Self { child, ready: Value::Null }
    }

    /// Where its API is.
    pub(crate) fn server(&self) -> String {
        format!("http://{}", self.ready["grpc"].as_str().unwrap())
    }

    /// Asks it.
    pub(crate) fn ask(&self, args: &[&str]) -> Said {
        let server = self.server();
        let mut all = args.to_vec();
        all.extend(["--server", &server]);
        run(&all)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it by SIGTERM, and says how it ended and what it said on standard error.
    #[track_caller]
    pub(crate) fn end(mut self) -> Said {
        self.signal();
        let child = &mut self.child;
        until("it ended", || child.try_wait().unwrap());
        let status = self.child.wait().unwrap();
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        Said { code: status.code().expect("ended by itself"), out: String::new(), err }
    }

    fn signal(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After `end` it is gone already; after a failed assertion nobody waits for it to end in order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A user of the example Brandt: an agent on a Lync phone.
pub(crate) const CLARA: &str = "+493023125103";

/// A directory with the tenants and people of one example.
pub(crate) fn one_example(name: &str) -> TempDir {
    let base = TempDir::new().unwrap();
    for folder in ["tenants", "directories"] {
        let file = Path::new(folder).join(name).with_extension("yaml");
        std::fs::create_dir(base.path().join(folder)).unwrap();
        std::fs::copy(top().join("examples").join(&file), base.path().join(&file)).unwrap();
    }
    base
}

pub(crate) fn path(base: &TempDir, below: &str) -> String {
    base.path().join(below).to_str().unwrap().to_owned()
}
