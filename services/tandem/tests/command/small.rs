//! Help, codes, digests, completions.

use std::io::Write as _;
use std::process::Stdio;

use crate::harness::{Running, run, tandem, top};

#[test]
fn every_command_has_help_with_its_purpose() {
    for command in [
        "up",
        "serve",
        "serve edge",
        "call route",
        "call explain",
        "tenant check",
        "directory import",
        "sim",
        "sim status",
        "caller",
    ] {
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let said = run(&args).ended(0);
        assert!(said.out.contains("Usage: tandem"), "{said:#?}");
    }
    let callers = run(&["caller", "--help"]).ended(0);
    for scope in tandem_wire::caller::Scope::ALL {
        assert!(callers.out.contains(scope.name()), "{}: {}", scope.name(), callers.out);
    }
    let said = run(&["--help"]).ended(0);
    assert!(said.out.contains("Exit codes:") && said.out.contains("tandem up"), "{}", said.out);
}

#[test]
fn a_wrong_command_line_is_2() {
    let check = |args: &[&str], part: &str| {
        let said = run(args).ended(2);
        assert!(said.err.contains(part), "{said:#?}");
    };
    check(&["fly"], "fly");
    check(&["up", "--listen", "public"], "NAME=udp:ADDRESS:PORT");
    check(&["call", "route", "--tenant", "brandt"], "--called");
    check(&["up", "--dev", "--callers", "x.yaml"], "--callers");
    for json in [&["--output", "json"][..], &["--output=json"]] {
        let said = run(&[&["fly"][..], json].concat()).ended(2);
        let said: serde_json::Value = serde_json::from_str(&said.err).unwrap();
        assert!(said["exit"] == 2 && said["error"].as_str().unwrap().starts_with("unrecognized"), "{said}");
    }
}

#[test]
fn a_command_line_that_is_no_text_is_2() {
    use std::os::unix::ffi::OsStrExt as _;
    let name = std::ffi::OsStr::from_bytes(b"\xff.yaml");
    let out = tandem(&["tenant", "chek"]).arg(name).output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn the_release_is_said() {
    assert_eq!(run(&["version"]).ended(0).out, format!("tandem {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(run(&["version", "--output", "json"]).ended(0).json()["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_token_has_a_digest() {
    let mut child =
        tandem(&["caller", "digest"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"foo\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let digest = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\n";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), digest);

    let made = run(&["caller", "digest", "--new", "--output", "json"]).ended(0).json();
    assert_eq!(made["token"].as_str().unwrap().len(), 64);
    assert_ne!(made["token"], made["digest"]);
}

#[test]
fn completions_name_the_commands() {
    let said = run(&["completions", "bash"]).ended(0);
    assert!(said.out.contains("tandem__call__explain") || said.out.contains("explain"), "{}", said.out);
}

#[test]
fn nothing_is_coloured_in_a_pipe_unless_asked() {
    let plain = run(&["tenant", "check", "examples/tenants"]).ended(0);
    assert!(!plain.out.contains('\u{1b}'));
    let coloured = run(&["tenant", "check", "examples/tenants", "--color", "always"]).ended(0);
    assert!(coloured.out.contains('\u{1b}'));
}

#[test]
fn simulators_are_checked() {
    for folder in ["", "brandt/"] {
        for kind in ["gateway", "cic", "lync"] {
            let config = format!("examples/sim/{folder}{kind}.yaml");
            run(&["sim", kind, "--config", &config, "--check"]).ended(0);
        }
    }
    let said = run(&["sim", "cic", "--config", "examples/sim/gateway.yaml", "--check"]).ended(65);
    assert!(said.err.contains("examples/sim/gateway.yaml:"), "{said:#?}");
}

/// The example's gateway calls the example's CIC, at addresses of this process.
#[test]
fn simulators_call_each_other() {
    let base = tempfile::TempDir::new().unwrap();
    let block = format!("127.{}.{}.", 100 + std::process::id() % 100, std::process::id() / 100 % 250);
    let config = |kind: &str| {
        let text =
            std::fs::read_to_string(top().join("examples/sim").join(kind).with_extension("yaml")).unwrap();
        let file = base.path().join(kind);
        std::fs::write(&file, text.replace("127.1.0.", &block)).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let cic = Running::start(&["sim", "cic", "--config", &config("cic"), "--status", "127.0.0.1:0"]);
    let gateway = config("gateway");
    let call = |called: &str| {
        let caller = ["--caller", "+12065550001", "--output", "json"];
        run(&[&["sim", "gateway", "--config", &gateway, "--call", called][..], &caller].concat())
    };
    let answered = call("+14255550101").ended(0).json();
    assert_eq!(
        (answered["status"].as_u64(), answered["rtpSent"].as_u64()),
        (Some(200), Some(10)),
        "{answered}"
    );
    let seen = |more: &[&str]| {
        let status = cic.ready["status"].as_str().unwrap();
        run(&[&["sim", "status", status][..], more].concat()).ended(0)
    };
    let told = seen(&["--of", "+12065550001"]).out;
    assert!(
        told.contains("asked for sip:+14255550101@") && told.contains("RTP 10 sent, 10 received"),
        "{told}"
    );
    assert!(seen(&["--of", "+12065550009"]).out.contains("no call was seen"));
    assert_eq!(seen(&["--output", "json"]).json()["kind"], "cic");
    let nowhere = call("+17775550100").ended(1);
    assert!(nowhere.json()["status"].as_u64().unwrap() >= 400, "{nowhere:#?}");
    assert_eq!(nowhere.err, "");
    let said = cic.end().ended(0).err;
    assert_eq!((said.lines().count(), said.starts_with("status at 127.0.0.1:")), (1, true), "{said}");
}

/// What the README does: the example tenant's gateway, CIC and Lync around `tandem up`, and a call through all of them.
/// At addresses of this process instead of the example's.
#[test]
fn a_call_goes_through_the_example_tenant() {
    let base = tempfile::TempDir::new().unwrap();
    let block =
        format!("127.{}.{}.", 100 + std::process::id() % 100, 1 + (std::process::id() / 100 + 128) % 250);
    let edge = format!("{block}250:5060");
    let copy = |file: &str| {
        let text = std::fs::read_to_string(top().join("examples").join(file)).unwrap();
        let to = base.path().join(file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(&to, text.replace("127.2.1.", &block).replace("127.0.0.1:5060", &edge)).unwrap();
        to.to_str().unwrap().to_owned()
    };
    let (tenant, people) = (copy("tenants/brandt.yaml"), copy("directories/brandt.yaml"));
    let tenants = std::path::Path::new(&tenant).parent().unwrap().to_str().unwrap().to_owned();
    let (udp, tcp) = (format!("public=udp:{edge}"), format!("public=tcp:{edge}"));
    let sockets = ["--grpc", "127.0.0.1:0", "--listen", &udp, "--listen", &tcp];
    let up =
        Running::start(&[&["up", "--tenants", &tenants, "--directories", &people][..], &sockets].concat());
    let cic = Running::start(&["sim", "cic", "--config", &copy("sim/brandt/cic.yaml")]);
    let lync = Running::start(&["sim", "lync", "--config", &copy("sim/brandt/lync.yaml")]);
    let gateway = copy("sim/brandt/gateway.yaml");
    // Anna's CIC phone, Clara's Lync phone that is a CIC station, and Bernd who is in Lync alone.
    for called in ["+493023125101", "+493023125103", "+493023125702"] {
        let caller = ["--caller", "+4915112345678", "--hold-ms", "1000", "--output", "json"];
        let call = [&["sim", "gateway", "--config", &gateway, "--call", called][..], &caller].concat();
        let result = run(&call).ended(0).json();
        let packets = (result["rtpSent"].as_u64(), result["rtpReceived"].as_u64());
        assert_eq!(packets, (Some(10), Some(10)), "{called}: {result}");
    }
    // What the edge decided of them is listed: with Lync first, Anna's call comes back from there.
    let listed = up.ask(&["call", "list", "--tenant", "brandt", "--number", "+493023125101"]).ended(0).out;
    assert!(listed.contains("goes to   lync") && listed.contains("goes to   cic"), "{listed}");
    for running in [cic, lync] {
        running.end().ended(0);
    }
    up.end().ended(0);
}
