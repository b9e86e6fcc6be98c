//! JSON in iproute2's layout.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// The JSON array of `rows` and a line end, on one line or as `ip -pretty` lays it out.
pub(super) fn array<R: Serialize>(rows: impl Iterator<Item = R>, pretty: bool) -> String {
    if pretty { write(rows, IpPretty) } else { write(rows, CompactFormatter) }
}

fn write<R: Serialize>(rows: impl Iterator<Item = R>, layout: impl Formatter) -> String {
    let mut bytes = Vec::new();
    // Rows of numbers and strings, written to memory: nothing that could fail.
    _ = serde::Serializer::collect_seq(&mut Serializer::with_formatter(&mut bytes, layout), rows);
    bytes.push(b'\n');
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The layout of `ip -pretty` for an array of flat objects (iproute2 `lib/json_writer.c`).
struct IpPretty;

impl Formatter for IpPretty {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b" " } else { b"," })
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b" ]")
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"\n        " } else { b",\n        " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b"\n    }")
    }
}
