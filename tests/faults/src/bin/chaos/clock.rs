//! A clock that jumps: a small library, loaded before all others, that shifts what a server reads of the time of day by
//! as many microseconds as a file says.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long long *shift;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("TANDEM_CLOCK");
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void *at = mmap(0, sizeof(long long), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (at != MAP_FAILED) shift = at;
}

int clock_gettime(clockid_t id, struct timespec *t) {
  long said = syscall(SYS_clock_gettime, id, t);
  if (said == 0 && id == CLOCK_REALTIME && shift) {
    long long us = t->tv_sec * 1000000LL + t->tv_nsec / 1000 + *shift;
    t->tv_sec = us / 1000000;
    t->tv_nsec = us % 1000000 * 1000;
  }
  return said == 0 ? 0 : -1;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
  if (t) {
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
  }
  return 0;
}

time_t time(time_t *t) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (t) *t = now.tv_sec;
  return now.tv_sec;
}
"#;

/// The library.
pub(crate) struct Shim {
    dir: TempDir,
}

/// The clock of one server.
#[derive(Clone, Debug)]
pub(crate) struct Clock(PathBuf);

impl Shim {
    /// Compiles it.
    pub(crate) fn build() -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let source = dir.path().join("clock.c");
        std::fs::write(&source, SOURCE).map_err(|e| e.to_string())?;
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-O2", "-o"]).arg(dir.path().join("clock.so")).arg(&source);
        let done = command.status().map_err(|e| format!("cc: {e}"))?;
        if done.success() { Ok(Self { dir }) } else { Err("cc: failed".to_owned()) }
    }

    /// A clock by this name, and the environment of the server that reads it.
    pub(crate) fn clock(&self, name: &str) -> (Clock, Vec<(String, String)>) {
        let clock = Clock(self.dir.path().join(name));
        clock.shift(0);
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let preload = ("LD_PRELOAD".to_owned(), text(self.dir.path().join("clock.so")));
        (clock.clone(), vec![preload, ("TANDEM_CLOCK".to_owned(), text(clock.0))])
    }
}

impl Clock {
    /// Makes it so many microseconds fast; slow, if negative.
    pub(crate) fn shift(&self, us: i64) {
        use std::os::unix::fs::FileExt as _;
        // In place: the server has the file mapped.
        let file =
            std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&self.0).unwrap();
        file.write_all_at(&us.to_ne_bytes(), 0).unwrap();
    }
}
