use std::fs;

use super::*;
use crate::drain::Life;

/// Far above what a change takes, far below what a person would wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// Nothing but events can tell within [`PATIENCE`].
fn by_events() -> Options {
    Options {
        look_every: Duration::from_secs(3600),
        poll_every: Duration::from_secs(3600),
        ..Options::default()
    }
}

async fn next(changes: &mut Changes) -> Vec<String> {
    let changed = tokio::time::timeout(PATIENCE, changes.next()).await.expect("a change is seen").unwrap();
    changed.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_file_written_in_place_is_seen_well_within_300_ms() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tenant.yaml");
    fs::write(&file, "a").unwrap();
    let life = Life::new();
    let mut changes = watch(&life.tasks, [file.clone()], by_events());
    let began = Instant::now();
    fs::write(&file, "ab").unwrap();
    assert_eq!(next(&mut changes).await, ["tenant.yaml"]);
    assert!(began.elapsed() < Duration::from_millis(300), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_editor_that_renames_is_followed_save_after_save() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tenant.yaml");
    fs::write(&file, "0").unwrap();
    let life = Life::new();
    let mut changes = watch(&life.tasks, [file.clone()], by_events());
    for save in 1..4 {
        let beside = dir.path().join(".tenant.yaml.swp");
        fs::write(&beside, save.to_string()).unwrap();
        fs::rename(&beside, &file).unwrap();
        assert_eq!(next(&mut changes).await, ["tenant.yaml"], "save {save}");
    }
}

#[tokio::test]
async fn a_directory_tells_what_came_changed_and_went() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.yaml", "b.yaml", "c.yaml"] {
        fs::write(dir.path().join(name), name).unwrap();
    }
    let life = Life::new();
    let mut changes = watch(&life.tasks, [dir.path().to_owned()], by_events());
    fs::write(dir.path().join("b.yaml"), "longer than before").unwrap();
    fs::remove_file(dir.path().join("c.yaml")).unwrap();
    fs::write(dir.path().join("d.yaml"), "new").unwrap();
    fs::write(dir.path().join(".hidden"), "an editor's own").unwrap();
    let mut seen = BTreeSet::new();
    while seen.len() < 3 {
        seen.extend(next(&mut changes).await);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["b.yaml", "c.yaml", "d.yaml"]);
}

#[tokio::test]
async fn a_kubernetes_volume_that_swaps_its_data_link_is_seen() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (version, text) in [("..1", "one"), ("..2", "two and more")] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("tenant.yaml"), text).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/tenant.yaml", at("tenant.yaml")).unwrap();
    let life = Life::new();
    for watched in [at("tenant.yaml"), dir.path().to_owned()] {
        let mut changes = watch(&life.tasks, [watched], by_events());
        let target = if fs::read_link(at("..data")).unwrap() == Path::new("..1") { "..2" } else { "..1" };
        symlink(target, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert_eq!(next(&mut changes).await, ["tenant.yaml"]);
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_yet_is_seen_when_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("late.yaml");
    let life = Life::new();
    let mut changes = watch(&life.tasks, [file.clone()], by_events());
    fs::write(&file, "here").unwrap();
    assert_eq!(next(&mut changes).await, ["late.yaml"]);
}

#[tokio::test]
async fn without_events_it_looks_at_intervals() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tenant.yaml");
    fs::write(&file, "a").unwrap();
    let life = Life::new();
    let paths = vec![file.clone()];
    let (_hint, hints) = mpsc::channel(1);
    let (tx, rx) = mpsc::channel(1);
    let options = Options { poll_every: Duration::from_millis(5), ..by_events() };
    let before = Fingerprint::take(&paths);
    life.tasks.spawn("watch files", Looker { paths, before, options, hints, watcher: None }.run(tx));
    fs::write(&file, "ab").unwrap();
    assert_eq!(next(&mut Changes(rx)).await, ["tenant.yaml"]);
}

#[tokio::test]
async fn a_slow_reader_gets_the_union() {
    let dir = tempfile::tempdir().unwrap();
    let life = Life::new();
    let mut changes = watch(&life.tasks, [dir.path().to_owned()], by_events());
    let mut expected = BTreeSet::new();
    for i in 0..20 {
        let name = format!("{i:02}.yaml");
        fs::write(dir.path().join(&name), "x").unwrap();
        expected.insert(name);
        tokio::task::yield_now().await;
    }
    let mut seen = BTreeSet::new();
    while seen.len() < expected.len() {
        seen.extend(next(&mut changes).await);
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn dropping_the_changes_ends_the_task() {
    let dir = tempfile::tempdir().unwrap();
    let life = Life::new();
    drop(watch(&life.tasks, [dir.path().to_owned()], by_events()));
    tokio::time::timeout(PATIENCE, life.tasks.ended()).await.expect("the task ends");
}
