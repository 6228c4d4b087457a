//! Progress of long commands, for people: on standard error, where that is a terminal and nobody asked for JSON.

use std::io::{IsTerminal as _, Write as _};

/// Bytes between two lines: often enough to be seen to move, seldom enough to cost nothing.
const EVERY_BYTES: u64 = 4 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;

/// One line that is written over as work goes on.
pub(crate) struct Progress {
    what: &'static str,
    total: Option<u64>,
    done: u64,
    shown: u64,
    is_shown: bool,
}

impl Progress {
    /// Begins; shows nothing where `is_quiet`.
    pub(crate) fn begin(what: &'static str, total: Option<u64>, is_quiet: bool) -> Self {
        let is_shown = !is_quiet && std::io::stderr().is_terminal();
        let progress = Self { what, total, done: 0, shown: 0, is_shown };
        progress.show();
        progress
    }

    /// So many bytes more are done.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.done += bytes;
        if self.done - self.shown >= EVERY_BYTES {
            self.shown = self.done;
            self.show();
        }
    }

    fn show(&self) {
        if self.is_shown {
            // A terminal that has gone needs no progress.
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K{}", self.line());
        }
    }

    fn line(&self) -> String {
        let done = self.done / MIB;
        match self.total.filter(|total| *total > 0) {
            Some(total) => {
                let percent = self.done.saturating_mul(100).checked_div(total).unwrap_or(100).min(100);
                format!("{} … {done} of {} MiB, {percent} %", self.what, total.div_ceil(MIB))
            }
            None if self.done == 0 => format!("{} …", self.what),
            None => format!("{} … {done} MiB", self.what),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            // The line is for while it lasts; what came of it is said by the command.
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// Counts what is read through it.
pub(crate) struct Counted<'a, R> {
    inner: R,
    progress: &'a mut Progress,
}

impl<'a, R> Counted<'a, R> {
    pub(crate) const fn new(inner: R, progress: &'a mut Progress) -> Self {
        Self { inner, progress }
    }
}

impl<R: std::io::Read> std::io::Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.progress.add(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_whole_numbers() {
        let mut progress = Progress { what: "copying", total: Some(8 * MIB), done: 0, shown: 0, is_shown: false };
        progress.add(2 * MIB + 5);
        assert_eq!(progress.line(), "copying … 2 of 8 MiB, 25 %");
        progress.total = None;
        assert_eq!(progress.line(), "copying … 2 MiB");
    }
}
