//! CPU time of processes, as the kernel counts it in `/proc`.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

/// Ticks in which `/proc` counts, in a second: the same on every Linux, whatever its kernel's own rate.
const TICKS: f64 = 100.0;

/// Processes that are looked at, each under the name of what it is for.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    processes: Vec<(&'static str, u32, Family)>,
}

/// Whether a process does its work in processes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Alone,
    WithChildren,
}

/// CPU seconds, by name: since the start of each, or between two looks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spent {
    /// In the order in which the names were watched first.
    pub by_name: Vec<(&'static str, f64)>,
    /// Of everybody else on the machine, the kernel's own work included.
    pub others: f64,
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, used) in &self.by_name {
            write!(f, "{name} {used:.1}  ")?;
        }
        write!(f, "others {:.1}", self.others)
    }
}

/// Where `/proc/PID/stat` keeps what, counted from behind the name.
const STATE: usize = 0;
const PARENT: usize = 1;
const USER: usize = 11;
const SYSTEM: usize = 12;
const USER_OF_CHILDREN: usize = 13;
const SYSTEM_OF_CHILDREN: usize = 14;
/// Columns of the first line of `/proc/stat` that are not work: idle, and waiting for a disk.
const IDLE: [usize; 2] = [3, 4];
/// Columns of that line that are not part of the others already (guests are).
const COLUMNS: usize = 8;

impl Watched {
    /// Adds a process. Several may have the same name: their times are added up.
    #[must_use]
    pub fn process(mut self, name: &'static str, pid: u32) -> Self {
        self.processes.push((name, pid, Family::Alone));
        self
    }

    /// Adds a process whose children do its work, as PostgreSQL's do; those that have ended count too.
    #[must_use]
    pub fn family(mut self, name: &'static str, pid: u32) -> Self {
        self.processes.push((name, pid, Family::WithChildren));
        self
    }

    /// What each has spent so far. The difference of two looks is what was spent between them.
    ///
    /// # Errors
    /// One of the processes has ended, or this is no Linux.
    pub fn look(&self) -> anyhow::Result<Spent> {
        let children = if self.processes.iter().any(|(_, _, family)| *family == Family::WithChildren) {
            all_processes()
        } else {
            Vec::new()
        };
        let mut spent = Spent::default();
        for (name, pid, family) in &self.processes {
            let fields = fields(*pid).with_context(|| format!("{name}: there is no process {pid}"))?;
            let mut seconds = seconds(&fields, &[USER, SYSTEM]);
            if *family == Family::WithChildren {
                seconds += self::seconds(&fields, &[USER_OF_CHILDREN, SYSTEM_OF_CHILDREN]);
                let own = children.iter().filter(|fields| fields.get(PARENT) == Some(&pid.to_string()));
                seconds += own.map(|fields| self::seconds(fields, &[USER, SYSTEM])).sum::<f64>();
            }
            spent.add(name, seconds);
        }
        spent.others = machine()? - spent.by_name.iter().map(|(_, seconds)| seconds).sum::<f64>();
        Ok(spent)
    }
}

impl Spent {
    /// What was spent after an earlier look.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |name| earlier.of(name);
        let by_name = self.by_name.iter().map(|(name, seconds)| (*name, seconds - before(*name))).collect();
        Self { by_name, others: self.others - earlier.others }
    }

    /// CPU seconds of one name; none where nobody has it.
    #[must_use]
    pub fn of(&self, name: &str) -> f64 {
        self.by_name.iter().find(|(known, _)| *known == name).map_or(0.0, |(_, seconds)| *seconds)
    }

    /// All of it multiplied, as to get from seconds to microseconds a call.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        let by_name = self.by_name.iter().map(|(name, seconds)| (*name, seconds * factor)).collect();
        Self { by_name, others: self.others * factor }
    }

    /// Adds the same names of another stretch of time.
    pub fn extend(&mut self, more: &Self) {
        for (name, seconds) in &more.by_name {
            self.add(name, *seconds);
        }
        self.others += more.others;
    }

    fn add(&mut self, name: &'static str, seconds: f64) {
        match self.by_name.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += seconds,
            None => self.by_name.push((name, seconds)),
        }
    }
}

/// The pid of a server that deploy/local started in this folder: the first line of the file in which it is kept.
///
/// # Errors
/// There is no such server.
pub fn server_pid(folder: &Path) -> anyhow::Result<u32> {
    let path = folder.join("pid");
    let text = fs::read_to_string(&path).with_context(|| format!("{}: no server", path.display()))?;
    text.lines().next().unwrap_or_default().parse().with_context(|| format!("{}: no pid", path.display()))
}

/// The fields of `/proc/PID/stat` behind the name; it stands in brackets and may hold anything.
fn fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<String> = stat.rsplit_once(") ")?.1.split_ascii_whitespace().map(str::to_owned).collect();
    (fields.get(STATE)? != "Z").then_some(fields)
}

fn seconds(fields: &[String], which: &[usize]) -> f64 {
    let ticks = which.iter().filter_map(|field| fields.get(*field)?.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

fn all_processes() -> Vec<Vec<String>> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| fields(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// CPU seconds that all processors together have worked since the machine was started.
fn machine() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/stat").context("/proc/stat cannot be read")?;
    let line = stat.lines().next().unwrap_or_default();
    let columns = line.split_ascii_whitespace().skip(1).take(COLUMNS).enumerate();
    let work = columns.filter(|(column, _)| !IDLE.contains(column)).filter_map(|(_, ticks)| ticks.parse::<f64>().ok());
    Ok(work.sum::<f64>() / TICKS)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn work_is_counted_where_it_was_done() {
        let mut idle = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let watched = Watched::default().process("us", std::process::id()).process("idle", idle.id());
        let before = watched.look().unwrap();
        let begun = Instant::now();
        // On a busy machine we get only a part of the time.
        while watched.look().unwrap().since(&before).of("us") < 0.1 && begun.elapsed() < Duration::from_secs(30) {
            std::hint::spin_loop();
        }
        let spent = watched.look().unwrap().since(&before);
        idle.kill().unwrap();
        idle.wait().unwrap();
        assert!(spent.of("us") >= 0.1 && spent.others >= -0.1, "{spent:?}");
        assert!(spent.of("idle") < 0.05, "{spent:?}");
        assert!(watched.look().is_err(), "a process that has ended has no time to tell");
    }

    #[test]
    fn what_children_did_is_counted_while_they_live_and_after() {
        let spin = "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done";
        let script = format!("({spin}) & wait; ({spin}; sleep 9) & wait");
        let mut parent = std::process::Command::new("sh").args(["-c", &script]).spawn().unwrap();
        let alone = Watched::default().process("parent", parent.id());
        let family = Watched::default().family("parent", parent.id());
        let begun = Instant::now();
        while family.look().unwrap().of("parent") < 0.1 && begun.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let (alone, family) = (alone.look().unwrap(), family.look().unwrap());
        // The grandchild sleeps on for a moment, with nobody who waits for it.
        parent.kill().unwrap();
        parent.wait().unwrap();
        assert!(family.of("parent") >= 0.1 && alone.of("parent") < 0.05, "{family:?} {alone:?}");
    }
}
