//! A file that is there whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

/// A file on its way: it is written under its name with `.part` behind it.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    whole: PathBuf,
}

impl Part {
    /// Begins a file. What an earlier one that was killed has left is overwritten; one that is being written is not.
    pub(super) fn begin(whole: &Path) -> anyhow::Result<Self> {
        ensure!(!whole.is_dir(), "{} is a directory", whole.display());
        let mut path = OsString::from(whole);
        path.push(".part");
        let path = PathBuf::from(path);
        let cannot = || format!("cannot write {}", path.display());
        let file = File::options().write(true).create(true).truncate(false).open(&path).with_context(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{} is being written by somebody else", path.display()),
            Err(TryLockError::Error(why)) => return Err(why).with_context(cannot),
        }
        // Who held the lock until a moment ago may have made it the whole file, which is not ours to empty.
        let own = file.metadata().with_context(cannot)?.ino();
        let is_there = fs::metadata(&path).is_ok_and(|there| there.ino() == own);
        ensure!(is_there, "{} has just been written by somebody else", whole.display());
        file.set_len(0).with_context(cannot)?;
        Ok(Self { file, path, whole: whole.to_owned() })
    }

    /// To write to.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// It is whole: gives it its name, in place of an older one.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        // A name must not lead to contents that a power cut can still take.
        self.file.sync_all().with_context(|| format!("cannot write {}", self.path.display()))?;
        fs::rename(&self.path, &self.whole).with_context(|| format!("cannot write {}", self.whole.display()))
    }

    /// It will not be whole.
    pub(super) fn discard(self) {
        // Best effort: it does not have the name of a whole one.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_has_its_name_once_it_is_whole() {
        let place = tempfile::tempdir().unwrap();
        let (whole, part) = (place.path().join("a.csv"), place.path().join("a.csv.part"));
        fs::write(&whole, "older").unwrap();
        fs::write(&part, "left by one that was killed").unwrap();

        let first = Part::begin(&whole).unwrap();
        first.file().write_all(b"newer").unwrap();
        assert!(Part::begin(&whole).is_err(), "two write the same file");
        assert_eq!(fs::read_to_string(&whole).unwrap(), "older");
        first.finish().unwrap();
        assert_eq!(fs::read_to_string(&whole).unwrap(), "newer");
        assert!(!part.exists());

        Part::begin(&whole).unwrap().discard();
        assert_eq!(fs::read_to_string(&whole).unwrap(), "newer");
        assert!(!part.exists());
        assert!(Part::begin(place.path()).is_err(), "a directory is no file");
    }
}
