//! Csv to rows of named cells, with the manners of Python's `csv.DictReader`, which connectors of the low-code
//! format count on: every cell is text, lines without a character are passed over, cells that a short row lacks are
//! null, and what follows a closing quote is kept.
//!
//! Two things differ on purpose. A row with more cells than names is an error of that row, where Python puts the
//! rest under a key that is no name; and bytes that are no characters spoil their row, not the file.
//! It must not guess types, nor decide what becomes of a row that is wrong.

use crate::text::{Encoding, Text};
use crate::{CELLS_MAX, ROW_BYTES_MAX};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use serde_json::{Map, Value};
use std::io::{BufRead, Read};

/// How a file is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Between cells; ASCII.
    pub delimiter: u8,
    /// Around cells that hold a delimiter, a quote or a line end; ASCII. A doubled quote stands for one.
    pub quote: u8,
    /// What makes the character after it, inside quotes, stand for itself; none in most files.
    pub escape: Option<u8>,
    /// Which characters its bytes are.
    pub encoding: Encoding,
    /// The names of its cells. Without them the first row has them.
    pub names: Option<Vec<String>>,
    /// Texts that mean null.
    pub nulls: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { delimiter: b',', quote: b'"', escape: None, encoding: Encoding::UTF_8, names: None, nulls: Vec::new() }
    }
}

/// What is wrong with one row. Reading goes on after it, except where the reader itself failed.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// It is longer than a row may be.
    #[error(
        "the row at line {line} is longer than {ROW_BYTES_MAX} bytes or has more than {CELLS_MAX} cells; \
         look for a quote that is not closed"
    )]
    TooLong {
        /// The line of the file on which it begins, counted from 1.
        line: u64,
    },
    /// It has cells without a name.
    #[error("the row at line {line} has {cells} cells for {names} names; check the delimiter and the quotes")]
    TooWide {
        /// The line of the file on which it begins, counted from 1.
        line: u64,
        /// Cells of the row.
        cells: usize,
        /// Names of the file.
        names: usize,
    },
    /// Some of its bytes are no characters.
    #[error("the row at line {line} has bytes that are not {encoding}; say which encoding the file has")]
    Undecodable {
        /// The line of the file on which it begins, counted from 1.
        line: u64,
        /// The encoding it was read in.
        encoding: &'static str,
    },
    /// The file could not be read further.
    #[error("reading broke off in the row at line {line} ({cause}); fetch the file again")]
    Broken {
        /// The line of the file on which it begins, counted from 1.
        line: u64,
        /// What the reader said.
        #[source]
        cause: std::io::Error,
    },
}

impl RowError {
    /// The line of the file on which the row begins, counted from 1.
    #[must_use]
    pub const fn line(&self) -> u64 {
        match self {
            Self::TooLong { line }
            | Self::TooWide { line, .. }
            | Self::Undecodable { line, .. }
            | Self::Broken { line, .. } => *line,
        }
    }
}

/// The rows of a file, read as they are asked for.
pub fn rows<R: Read>(reader: R, options: &Options) -> Rows<R> {
    let mut builder = ReaderBuilder::new();
    builder.delimiter(options.delimiter).quote(options.quote).escape(options.escape);
    Rows {
        text: Text::new(reader, options.encoding),
        core: builder.build(),
        cells: vec![0; 1024],
        ends: vec![0; 64],
        options: options.clone(),
        is_over: false,
    }
}

/// See [`rows`].
pub struct Rows<R> {
    text: Text<R>,
    core: Reader,
    cells: Vec<u8>,
    ends: Vec<usize>,
    options: Options,
    is_over: bool,
}

/// Where a row's cells lie in `Rows::cells`.
struct Record {
    line: u64,
    count: usize,
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Map<String, Value>, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_over {
            let record = match self.read_record() {
                Ok(Some(record)) => record,
                Ok(None) => break,
                Err(error) => {
                    // Without names no row has a meaning.
                    self.is_over |= self.options.names.is_none();
                    return Some(Err(error));
                }
            };
            let Some(names) = &self.options.names else {
                self.options.names = Some(self.record_cells(&record).map(str::to_owned).collect());
                continue;
            };
            return Some(self.row(&record, names));
        }
        self.is_over = true;
        None
    }
}

impl<R: Read> Rows<R> {
    fn record_cells(&self, record: &Record) -> impl Iterator<Item = &str> {
        let ends = self.ends.iter().take(record.count);
        let starts = std::iter::once(&0).chain(ends.clone());
        let bytes = starts.zip(ends).map(|(start, end)| self.cells.get(*start..*end).unwrap_or_default());
        bytes.map(|bytes| std::str::from_utf8(bytes).unwrap_or("\u{fffd}"))
    }

    fn row(&self, record: &Record, names: &[String]) -> Result<Map<String, Value>, RowError> {
        if record.count > names.len() {
            return Err(RowError::TooWide { line: record.line, cells: record.count, names: names.len() });
        }
        let value = |cell: &str| {
            let is_null = self.options.nulls.iter().any(|null| null == cell);
            if is_null { Value::Null } else { Value::from(cell) }
        };
        let values = self.record_cells(record).map(value).chain(std::iter::repeat(Value::Null));
        Ok(names.iter().cloned().zip(values).collect())
    }

    fn read_record(&mut self) -> Result<Option<Record>, RowError> {
        self.pass_blank_lines()?;
        let line = self.core.line();
        let (mut written, mut count, mut is_long) = (0, 0, false);
        loop {
            let input = self.text.fill_buf().map_err(|cause| broken(&mut self.is_over, line, cause))?;
            let cells = self.cells.get_mut(written..).unwrap_or_default();
            let ends = self.ends.get_mut(count..).unwrap_or_default();
            let (result, read, wrote, ended) = self.core.read_record(input, cells, ends);
            self.text.consume(read);
            written += wrote;
            count += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if grow(&mut self.cells, ROW_BYTES_MAX) => {}
                ReadRecordResult::OutputEndsFull if grow(&mut self.ends, CELLS_MAX) => {}
                // The rest of the row is read over itself, so that the next one is found.
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    (written, count, is_long) = (0, 0, true);
                }
                ReadRecordResult::Record if is_long => return Err(RowError::TooLong { line }),
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(None),
            }
        }
        let written = self.cells.get(..written).unwrap_or_default();
        if self.text.is_spoiled() && written.windows(3).any(|bytes| bytes == "\u{fffd}".as_bytes()) {
            return Err(RowError::Undecodable { line, encoding: self.options.encoding.name() });
        }
        Ok(Some(Record { line, count }))
    }

    /// `csv_core` passes them over too, but then the line on which a row begins is not known.
    fn pass_blank_lines(&mut self) -> Result<(), RowError> {
        loop {
            let line = self.core.line();
            let next = self.text.fill_buf().map_err(|cause| broken(&mut self.is_over, line, cause))?;
            if next.first() != Some(&b'\n') {
                return Ok(());
            }
            self.text.consume(1);
            self.core.set_line(line + 1);
        }
    }
}

fn broken(is_over: &mut bool, line: u64, cause: std::io::Error) -> RowError {
    *is_over = true;
    RowError::Broken { line, cause }
}

/// Makes room, and says whether it could.
fn grow<T: Clone + Default>(room: &mut Vec<T>, most: usize) -> bool {
    let is_small = room.len() < most;
    if is_small {
        room.resize((room.len() * 2).min(most), T::default());
    }
    is_small
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(bytes: &[u8], options: &Options) -> Vec<Value> {
        let rows = rows(bytes, options);
        rows.map(|row| row.map_or_else(|error| Value::from(error.to_string()), Value::Object)).collect()
    }

    #[test]
    fn rows_are_read_as_python_reads_them() {
        let table: [(&str, Value); 10] = [
            ("a,b\n1,2\n", json!([{"a": "1", "b": "2"}])),
            ("a,b\r\n1,\"x\r\ny\"\r\n\r\n3", json!([{"a": "1", "b": "x\ny"}, {"a": "3", "b": null}])),
            ("a,b\n\"say \"\"hi\"\"\",\"\"\n", json!([{"a": "say \"hi\"", "b": ""}])),
            ("a\n\"x\"y\nx\"y\n", json!([{"a": "xy"}, {"a": "x\"y"}])),
            ("a,a\n1,2\n", json!([{"a": "2"}])),
            ("\n\na\n\n1\n", json!([{"a": "1"}])),
            ("a\n \n", json!([{"a": " "}])),
            ("a\n\"open", json!([{"a": "open"}])),
            ("a,b\n1\r2,3", json!([{"a": "1", "b": null}, {"a": "2", "b": "3"}])),
            ("", json!([])),
        ];
        for (text, expected) in table {
            assert_eq!(Value::from(read(text.as_bytes(), &Options::default())), expected, "{text:?}");
        }
    }

    #[test]
    fn what_a_file_says_of_itself_is_kept() {
        let options = Options {
            delimiter: b';',
            quote: b'\'',
            escape: Some(b'\\'),
            encoding: Encoding::parse("latin-1").unwrap(),
            names: Some(vec!["id".to_owned(), "name".to_owned()]),
            nulls: vec!["NULL".to_owned()],
        };
        let found = read(b"1;'it\\'s; caf\xe9'\nNULL;x", &options);
        assert_eq!(found, [json!({"id": "1", "name": "it's; café"}), json!({"id": null, "name": "x"})]);
    }

    #[test]
    fn a_wrong_row_is_told_with_its_line_and_the_next_is_read() {
        let long = format!("a,b\n\n1,2,3\n\"x\ny\",\n{},\n\n5,6\n", "z".repeat(ROW_BYTES_MAX + 1));
        let found = read(long.as_bytes(), &Options::default());
        assert_eq!(found[0], "the row at line 3 has 3 cells for 2 names; check the delimiter and the quotes");
        assert_eq!(found[1], json!({"a": "x\ny", "b": ""}));
        assert!(
            found[2].as_str().unwrap().starts_with("the row at line 6 is longer than 4194304 bytes"),
            "{}",
            found[2]
        );
        assert_eq!(found[3..], [json!({"a": "5", "b": "6"})]);

        let wide = format!("a\n{}\n1\n", ",".repeat(CELLS_MAX + 1));
        assert_eq!(read(wide.as_bytes(), &Options::default())[1], json!({"a": "1"}));

        let found = read(b"a\ncaf\xe9\nok\n", &Options::default());
        assert_eq!(found[0], "the row at line 2 has bytes that are not UTF-8; say which encoding the file has");
        assert_eq!(found[1], json!({"a": "ok"}));
    }

    #[test]
    fn a_reader_that_fails_ends_the_rows() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("the line went dead"))
            }
        }
        let rows: Vec<_> = rows(b"a\n1\n2".chain(Failing), &Options::default()).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1].as_ref().unwrap_err().line(), 3);
    }
}
