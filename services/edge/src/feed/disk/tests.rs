use super::*;
use tandem_domain::id::{Incarnation, Revision, TenantId, TenantName};
use tandem_domain::record::{Record, TenantRecord, cell};

fn birth(name: &str, revision: u64, alive: bool) -> Change {
    let tenant = TenantId { name: TenantName::parse(name).unwrap(), incarnation: Incarnation(7) };
    let record = alive.then_some(Record::Tenant(TenantRecord { tenant, deleting: false }));
    Change {
        tenant: cell(),
        kind: Kind::Tenant,
        key: name.into(),
        record,
        revision: Revision(revision),
        at: revision,
    }
}

fn chunk(change: &Change) -> Keep {
    Keep::Chunk(change.at, feed::chunks([change]).remove(0))
}

/// A file with a snapshot of `a` and a change that makes `b`, in a directory of its own.
fn written() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state/feed");
    let mut disk = Disk::new(path.clone(), &Kept::default()).unwrap();
    disk.keep(vec![Keep::Begin, chunk(&birth("a", 1, true)), Keep::End(2)]).unwrap();
    disk.keep(vec![chunk(&birth("b", 3, true)), Keep::Good(4)]).unwrap();
    (dir, path)
}

fn names(kept: &Kept) -> Vec<&str> {
    kept.changes.iter().flatten().map(|c| c.key.as_str()).collect()
}

#[test]
fn a_place_that_cannot_be_written_is_found_out_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "in the way").unwrap();
    assert!(Disk::new(file.join("feed"), &Kept::default()).is_err());
    // Where it can, nothing is left of the trial.
    let free = dir.path().join("state");
    assert!(Disk::new(free.join("feed"), &Kept::default()).is_ok());
    assert_eq!(fs::read_dir(free).unwrap().count(), 0);
}

#[test]
fn what_was_kept_is_read_again() {
    let (_dir, path) = written();
    let kept = read(&path, 0).unwrap();
    assert_eq!((names(&kept), kept.good_at), (vec!["a", "b"], 4));
    let mut disk = Disk::new(path.clone(), &kept).unwrap();
    disk.keep(vec![chunk(&birth("c", 5, true))]).unwrap();
    assert_eq!(names(&read(&path, 0).unwrap()), ["a", "b", "c"]);
}

#[test]
fn a_snapshot_replaces_all_at_once_or_not_at_all() {
    let (_dir, path) = written();
    let kept = read(&path, 0).unwrap();
    let mut disk = Disk::new(path.clone(), &kept).unwrap();
    disk.keep(vec![Keep::Begin, chunk(&birth("z", 9, true))]).unwrap();
    assert_eq!(names(&read(&path, 0).unwrap()), ["a", "b"]);
    disk.keep(vec![Keep::Forget, Keep::Begin, chunk(&birth("y", 9, true)), Keep::End(10)]).unwrap();
    assert_eq!(names(&read(&path, 0).unwrap()), ["y"]);
}

#[test]
fn every_cut_leaves_what_was_whole_and_every_flipped_byte_is_found() {
    let (dir, path) = written();
    let whole = fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let kept = read(&path, 1_000_000).unwrap();
        let expected = ["a", "b"];
        assert!(names(&kept).len() <= 2 && names(&kept) == expected[..names(&kept).len()], "cut at {cut}");
        if kept.changes.is_some() {
            // What is appended after a crash is read.
            Disk::new(path.clone(), &kept).unwrap().keep(vec![chunk(&birth("c", 5, true))]).unwrap();
            assert_eq!(names(&read(&path, 0).unwrap()).last(), Some(&"c"), "cut at {cut}");
        }
    }
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(&path, &flipped).unwrap();
        let kept = read(&path, 1_000_000).unwrap();
        let known = ["a", "b"];
        assert!(names(&kept) == known[..names(&kept).len()], "flipped at {at}");
    }
    assert!(dir.path().join("state/feed.damaged-1").exists());
}

#[test]
fn a_file_that_grows_is_folded() {
    let (_dir, path) = written();
    let kept = read(&path, 0).unwrap();
    let mut disk = Disk::new(path.clone(), &kept).unwrap();
    disk.keep(vec![chunk(&birth("a", 6, false)), chunk(&birth("b", 7, true))]).unwrap();
    disk.fold().unwrap();
    let kept = read(&path, 0).unwrap();
    assert_eq!(names(&kept), ["b"]);
    disk.keep(vec![chunk(&birth("c", 8, true))]).unwrap();
    assert_eq!(names(&read(&path, 0).unwrap()), ["b", "c"]);
}
