//! `up` and `serve edge`, on free ports, asked as a person would ask.

use std::fs;
use std::net::TcpListener;

use tempfile::TempDir;

use crate::harness::{CLARA, Running, one_example, path, run, top, until};

pub(crate) fn first_trunk(up: &Running) -> String {
    let said =
        up.ask(&["call", "route", "--tenant", "brandt", "--called", CLARA, "--output", "json"]).ended(0);
    said.json()["route"]["targets"][0]["trunk"].as_str().unwrap().to_owned()
}

#[test]
fn a_saved_tenant_is_decided_by_and_a_broken_one_is_not() {
    let base = one_example("brandt");
    let up =
        Running::up(&["--tenants", &path(&base, "tenants"), "--directories", &path(&base, "directories")]);
    assert_eq!(up.ready["tenants"], serde_json::json!(["brandt"]));
    let explained = up.ask(&["call", "explain", "--tenant", "brandt", "--called", CLARA]).ended(0);
    assert!(
        explained.out.contains("clara.hoffmann") && explained.out.contains("revision"),
        "{}",
        explained.out
    );
    assert_eq!(first_trunk(&up), "lync");

    let file = base.path().join("tenants/brandt.yaml");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, good.replace("inbound: LyncFirst", "inbound: CicFirst")).unwrap();
    until("CIC comes first", || (first_trunk(&up) == "cic").then_some(()));

    fs::write(&file, good.replace("model: OnPremises", "model: OnTheMoon")).unwrap();
    // The next good save is taken after the broken one was refused: files are read in order.
    fs::write(
        base.path().join("tenants/cascade.yaml"),
        fs::read(top().join("examples/tenants/cascade.yaml")).unwrap(),
    )
    .unwrap();
    let args = ["call", "route", "--tenant", "cascade", "--called", "+12065550103"];
    until("the new tenant is there", || (up.ask(&args).code != 65).then_some(()));
    assert_eq!(first_trunk(&up), "cic");
    let said = up.end().ended(0);
    assert!(
        said.err.contains("OnTheMoon") && said.err.contains("what was in force before stays"),
        "{}",
        said.err
    );
}

/// To a program each event is a line of its own; to people it is words, as a compiler prints them.
#[test]
fn what_becomes_of_a_saved_file_is_told_to_programs_and_to_people() {
    let broken = |file: &std::path::Path| {
        let good = fs::read_to_string(file).unwrap();
        fs::write(file, good.replace("model: OnPremises", "model: OnTheMoon")).unwrap();
    };
    let base = one_example("brandt");
    let up = Running::up(&["--tenants", &path(&base, "tenants")]);
    let file = base.path().join("tenants/brandt.yaml");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, good.replace("inbound: LyncFirst", "inbound: CicFirst")).unwrap();
    until("CIC comes first", || (first_trunk(&up) == "cic").then_some(()));
    broken(&file);
    fs::copy(top().join("examples/tenants/cascade.yaml"), file.with_file_name("cascade.yaml")).unwrap();
    let args = ["call", "route", "--tenant", "cascade", "--called", "+12065550103"];
    until("the new tenant is there", || (up.ask(&args).code != 65).then_some(()));
    let said = up.end().ended(0).err;
    let events: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{said}"))).collect();
    let of = |event: &str| events.iter().find(|e| e["event"] == event).unwrap_or_else(|| panic!("{said}"));
    assert_eq!((&of("in_force")["tenant"], &of("in_force")["generation"]), (&"brandt".into(), &2.into()));
    let found = &of("rejected")["diagnostics"][0];
    assert_eq!((&found["line"], &found["path"]), (&12.into(), &"spec.model".into()), "{said}");

    let base = one_example("brandt");
    broken(&base.path().join("tenants/brandt.yaml"));
    let said = Running::in_words(&["--tenants", &path(&base, "tenants")]).end().ended(0).err;
    assert!(said.contains("brandt.yaml:12:10: error: unknown value `OnTheMoon`\n   |\n12 |"), "{said}");
    assert!(said.ends_with("mend the file and save it\n"), "{said}");
}

#[test]
fn a_file_that_goes_away_is_told_of_and_a_mark_deletes() {
    let base = one_example("brandt");
    let up =
        Running::up(&["--tenants", &path(&base, "tenants"), "--directories", &path(&base, "directories")]);
    let file = base.path().join("tenants/brandt.yaml");
    fs::remove_file(&file).unwrap();
    // The next tenant is there after it was seen that the first one's file is not.
    let cascade = fs::read(top().join("examples/tenants/cascade.yaml")).unwrap();
    fs::write(base.path().join("tenants/cascade.yaml"), cascade).unwrap();
    let args = ["call", "route", "--tenant", "cascade", "--called", "+12065550103"];
    until("the new tenant is there", || (up.ask(&args).code != 65).then_some(()));
    assert_eq!(first_trunk(&up), "lync");
    fs::write(file.with_extension("deleted"), "").unwrap();
    let route = ["call", "route", "--tenant", "brandt", "--called", CLARA];
    until("it is deleted", || (up.ask(&route).code == 65).then_some(()));
    // A third is there after it was said of the first what was deleted. Its listener is nobody's.
    let albion = fs::read_to_string(top().join("examples/tenants/albion.yaml")).unwrap();
    let albion = albion.replace("{source: 127.2.2.10}", "{listener: pubic, source: 127.2.2.10}");
    fs::write(base.path().join("tenants/albion.yaml"), albion).unwrap();
    let args = ["call", "route", "--tenant", "albion", "--called", "+442079460103"];
    until("the third tenant is there", || (up.ask(&args).code != 65).then_some(()));
    let gone = base.path().join("tenants/cascade.yaml");
    fs::rename(&gone, gone.with_extension("deleted")).unwrap();
    let args = ["call", "route", "--tenant", "cascade", "--called", "+12065550103"];
    until("the second is deleted", || (up.ask(&args).code == 65).then_some(()));
    let said = up.end().ended(0);
    for part in [
        "no file names brandt: ",
        "brandt: deleted with all it has, 7 users and 22 numbers; to have it back",
        "warning: ingress.listener_unknown: there is no listener `pubic` here, but `public`",
    ] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
}

#[test]
fn people_are_imported() {
    let base = one_example("brandt");
    let up = Running::up(&["--tenants", &path(&base, "tenants")]);
    let file = path(&base, "directories/brandt.yaml");
    let owner = || {
        let said =
            up.ask(&["call", "route", "--tenant", "brandt", "--called", CLARA, "--output", "json"]).ended(0);
        said.json()["owner"]["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(owner(), "");
    let tried = up.ask(&["directory", "import", &file, "--dry-run", "--output", "json"]).ended(0).json();
    assert!(tried[0]["response"]["written"].as_u64().unwrap() > 0, "{tried}");
    assert_eq!(owner(), "");
    let done = up.ask(&["directory", "import", &file]).ended(0);
    assert!(done.out.contains("0 refused"), "{}", done.out);
    assert_eq!(owner(), "clara.hoffmann");
    let again = up.ask(&["directory", "import", &file, "--replace", "--output", "json"]).ended(0).json();
    assert_eq!(again[0]["response"]["written"], 0, "{again}");
    let listed = up.ask(&["call", "list", "--tenant", "brandt"]).ended(0);
    assert!(listed.out.contains("clara.hoffmann"), "{}", listed.out);
    up.end().ended(0);
}

#[test]
fn a_tenant_that_is_not_there_is_named() {
    let base = one_example("brandt");
    let up = Running::up(&["--tenants", &path(&base, "tenants")]);
    let said = up.ask(&["call", "route", "--tenant", "acme", "--called", CLARA]).ended(65);
    assert!(said.err.contains("tenants/acme"), "{said:#?}");
}

#[test]
fn what_is_kept_is_there_again_and_one_process_has_it() {
    let base = TempDir::new().unwrap();
    let data = path(&base, "data");
    let up = Running::up(&["--data", &data]);
    assert_eq!(up.ready["tenants"].as_array().unwrap().len(), 3);

    let second = run(&["up", "--data", &data, "--grpc", "127.0.0.1:0", "--listen", "public=udp:127.0.0.1:0"])
        .ended(75);
    let holder = format!("in use by process {}", up.pid());
    assert!(second.err.contains(&data) && second.err.contains(&holder), "{second:#?}");
    up.end().ended(0);

    // The same again: what is imported is there already, and changes nothing.
    Running::up(&["--data", &data]).end().ended(0);
    // And without an import.
    let up = Running::up(&["--data", &data, "--tenants", &path(&base, "data/tenants")]);
    let said = up.ask(&["call", "route", "--tenant", "brandt", "--called", CLARA]).ended(0);
    assert!(said.out.contains("clara.hoffmann"), "{said:#?}");
    up.end().ended(0);
}

#[test]
fn what_cannot_be_had_is_one_line_with_the_fix() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let base = TempDir::new().unwrap();
    fs::create_dir(base.path().join("store")).unwrap();
    fs::write(base.path().join("store/tandem.redb"), [7; 8192]).unwrap();
    let damaged = base.path().to_str().unwrap();
    let check = |args: &[&str], code: i32, parts: &[&str]| {
        let said = run(args).ended(code);
        assert_eq!(said.err.trim_end().lines().count(), 1, "{said:#?}");
        assert!(parts.iter().all(|part| said.err.contains(part)), "{said:#?}");
    };
    let tenants = ["--tenants", "examples/tenants", "--listen", "public=udp:127.0.0.1:0"];
    let up = |more: &[&'static str]| [&["up"][..], &tenants, more].concat();
    check(&[&up(&["--grpc"])[..], &[&address]].concat(), 73, &[&address, "--grpc"]);
    // Example tenants that nobody has seen are not said to be removed.
    check(&["up", "--listen", "public=udp:127.0.0.1:0", "--grpc", &address], 73, &[&address, "--grpc"]);
    check(&up(&["--grpc", "0.0.0.0:0"]), 65, &["--callers", "loopback"]);
    check(&[&up(&["--grpc", "127.0.0.1:0", "--data"])[..], &[damaged]].concat(), 65, &["damaged", "backup"]);
    check(
        &["up", "--tenants", "nowhere", "--grpc", "127.0.0.1:0", "--listen", "a=udp:127.0.0.1:0"],
        65,
        &["nowhere", "--tenants"],
    );
}

#[test]
fn an_edge_alone_follows_and_begins_again_by_what_it_kept() {
    let base = one_example("brandt");
    let up = Running::up(&["--tenants", &path(&base, "tenants")]);
    let (server, state) = (up.server(), path(&base, "edge.feed"));
    let args = [
        "serve",
        "edge",
        "--server",
        &server,
        "--listen",
        "far=udp:127.0.0.1:0",
        "--state",
        &state,
        "--id",
        "far-1",
    ];
    let edge = Running::start(&args);
    assert_eq!(edge.ready["edge"], "far-1");
    edge.end().ended(0);
    up.end().ended(0);
    // Nobody is there to follow any more.
    Running::start(&args).end().ended(0);
}

#[test]
fn a_tenant_that_is_wrong_at_the_start_is_said_and_its_people_are_passed_over() {
    let base = one_example("brandt");
    fs::copy(top().join("examples/tenants/cascade.yaml"), base.path().join("tenants/cascade.yaml")).unwrap();
    let file = base.path().join("tenants/brandt.yaml");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, good.replace("model: OnPremises", "model: OnTheMoon")).unwrap();
    let up =
        Running::up(&["--tenants", &path(&base, "tenants"), "--directories", &path(&base, "directories")]);
    assert_eq!(up.ready["tenants"], serde_json::json!(["cascade"]));
    let said = up.end().ended(0);
    assert!(said.err.contains("OnTheMoon"), "{}", said.err);
    assert!(said.err.contains("directories/brandt.yaml: not imported, for tenant brandt"), "{}", said.err);
    // And an end that was asked for is no loss of anything.
    assert!(!said.err.contains("the feed is"), "{}", said.err);
}

#[test]
fn what_is_no_directory_or_of_somebody_else_is_refused() {
    let base = one_example("brandt");
    let up = Running::up(&["--tenants", &path(&base, "tenants")]);
    let said = up.ask(&["directory", "import", "examples/tenants/brandt.yaml"]).ended(65);
    assert!(said.err.contains("no document of kind: Directory"), "{said:#?}");
    let explain = ["call", "explain", "--tenant", "brandt", "--called", CLARA];
    let said = up.ask(&[&explain[..], &["--agent", "nosuch"]].concat()).ended(65);
    assert!(said.err.contains("nosuch is no user of this tenant"), "{said:#?}");
    up.ask(&["call", "route", "--tenant", "brandt", "--called", CLARA]).ended(0);
    let list = |outcome: &str| up.ask(&["call", "list", "--tenant", "brandt", "--outcome", outcome]).ended(0);
    let routed = list("routed").out;
    let year = routed.split('-').next().and_then(|year| year.parse::<u32>().ok());
    assert!(year.is_some_and(|year| year > 2000), "{routed}");
    assert_eq!(list("rejected").out, "no decision is remembered\n");
    up.end().ended(0);
}

#[test]
fn a_store_in_use_is_said_with_what_to_use_instead() {
    let base = TempDir::new().unwrap();
    let data = path(&base, "data");
    let up = Running::up(&["--data", &data]);
    let tenants = path(&base, "data/tenants");
    let said =
        run(&["serve", "routing", "--tenants", &tenants, "--data", &data, "--grpc", "127.0.0.1:0"]).ended(75);
    assert!(said.err.contains("use `tandem up`"), "{said:#?}");
    up.end().ended(0);
}

#[test]
fn each_wrong_start_has_its_code_and_its_fix() {
    let base = TempDir::new().unwrap();
    let file = path(&base, "file");
    fs::write(&file, "").unwrap();
    let check = |args: &[&str], code: i32, part: &str| {
        let said = run(args).ended(code);
        assert!(said.err.contains(part), "{said:#?}");
    };
    let up = ["up", "--grpc", "127.0.0.1:0", "--listen", "public=udp:127.0.0.1:0"];
    check(&[&up[..], &["--data", &file]].concat(), 73, "give --data a directory");
    check(&["tenant", "check", "/nonexist"], 65, "/nonexist: no such file");
    let gateway = ["sim", "gateway", "--config", "examples/sim/gateway.yaml"];
    check(&["sim", "cic", "--config", "/nonexist"], 65, "/nonexist");
    check(&[&gateway[..], &["--set", "XX="]].concat(), 2, "ELEMENT=BEHAVIOUR");
    check(&["sim", "cic", "--config", "examples/sim/gateway.yaml"], 65, "examples/sim/gateway.yaml:");

    // Somebody who takes connections and says something else than gRPC.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", other.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        while let Ok((mut socket, _)) = other.accept() {
            let read = socket.read(&mut [0; 64]).unwrap_or(0);
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            if read == 3 {
                return;
            }
        }
    });
    check(
        &["call", "route", "--tenant", "brandt", "--called", "1", "--server", &address],
        69,
        "does not speak gRPC",
    );
    let _ = std::net::TcpStream::connect(address.trim_start_matches("http://"))
        .and_then(|mut socket| std::io::Write::write_all(&mut socket, b"end"));
    answering.join().unwrap();
}
