//! From bytes to values.

use crate::read::{component, one_of};

one_of! {
    /// How an answer's body is read.
    Decoder {
        /// One JSON document.
        Json as "JsonDecoder" (Plain),
        /// A JSON document a line.
        Jsonl as "JsonlDecoder" (Plain),
        /// A text a line, each a record.
        Iterable as "IterableDecoder" (Plain),
        /// Rows.
        Csv as "CsvDecoder" (CsvDecoder),
        /// XML.
        Xml as "XmlDecoder" (Plain),
        /// Compressed, with something inside.
        Gzip as "GzipDecoder" (WrappedDecoder),
        /// An archive of files.
        Zip as "ZipfileDecoder" (WrappedDecoder),
    }

    /// How the answer to a login is read.
    TokenDecoder {
        /// One JSON document.
        Json as "JsonDecoder" (Plain),
        /// XML.
        Xml as "XmlDecoder" (Plain),
        /// The whole text is the token: our extension.
        Text as "PlainTextDecoder" (Plain),
    }
}

component! {
    /// Nothing to say.
    Plain {}

    /// Rows.
    CsvDecoder {
        encoding: Option<String>,
        delimiter: Option<String>,
        set_values_to_none: Vec<String>,
    }

    /// Something inside.
    WrappedDecoder {
        decoder: Box<Decoder>,
    }
}
