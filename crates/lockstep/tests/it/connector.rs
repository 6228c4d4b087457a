//! `lockstep connector` over the real binary: the ready-made connectors read their samples as they were recorded, and
//! wrong input is told with what is wrong about it.

use crate::hub::{binary, root};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A platform that gives pages of two items without end, each newer than the one before, one answer a connection.
struct Platform {
    url: String,
}

impl Platform {
    fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        std::thread::spawn(move || {
            for (page, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let asked = lines.next().unwrap_or_default();
                lines.find(String::is_empty);
                let items: Vec<Value> = (0..2)
                    .map(|item| json!({"id": page * 2 + item, "at": format!("2025-01-01T{:02}:{:02}:00Z", page / 60 % 24, page % 60)}))
                    .collect();
                let items =
                    if asked.contains("/none") || asked.contains("/some?page") { &items[..0] } else { &items[..] };
                let body = json!({"data": items, "next": page + 1}).to_string();
                let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                // Whoever asked may have gone.
                let _gone = (&stream).write_all(format!("{head}{body}").as_bytes());
            }
        });
        Ok(Self { url })
    }
}

/// A folder with a connector for that platform: `items` without end, `some` and `none`.
struct Folder {
    folder: tempfile::TempDir,
    platform: Platform,
}

impl Folder {
    fn make() -> Result<Self> {
        let this = Self { folder: tempfile::tempdir()?, platform: Platform::open()? };
        this.write(
            "manifest.yaml",
            "version: 1.0.0
definitions:
  retriever:
    requester: {type: HttpRequester, url_base: \"{{ config['url'] }}\", path: \"{{ parameters.name }}\"}
    record_selector: {extractor: {type: DpathExtractor, field_path: [data]}}
    paginator:
      type: DefaultPaginator
      page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: page}
      pagination_strategy: {type: CursorPagination, cursor_value: \"{{ response.next }}\", stop_condition: \"{{ not response.data }}\"}
  windows: {type: DatetimeBasedCursor, cursor_field: at, datetime_format: '%Y-%m-%dT%H:%M:%SZ', start_datetime: '2025-01-01T00:00:00Z'}
streams:
- {type: DeclarativeStream, name: items, $parameters: {name: items}, retriever: {$ref: '#/definitions/retriever'}, incremental_sync: {$ref: '#/definitions/windows'}}
- {type: DeclarativeStream, name: some, $parameters: {name: some}, retriever: {$ref: '#/definitions/retriever'}, incremental_sync: {$ref: '#/definitions/windows'}}
- {type: DeclarativeStream, name: none, $parameters: {name: none}, retriever: {$ref: '#/definitions/retriever'}, incremental_sync: {$ref: '#/definitions/windows'}}
spec: {type: Spec, connection_specification: {type: object, required: [url], properties: {url: {type: string, title: Address}}}}
check: {type: CheckStream, stream_names: [items]}
",
        )?;
        this.write("config.json", &json!({"url": this.platform.url}).to_string())?;
        Ok(this)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        std::fs::write(self.path(name), text)?;
        Ok(self.path(name))
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = binary();
        command.args(["connector", verb]).arg(self.folder.path()).current_dir(self.folder.path());
        command
    }

    fn read(&self, flags: &[&str]) -> Command {
        let mut command = self.command("read");
        command.args(["--config", "config.json", "--allow-private", "127.0.0.0/8"]).args(flags);
        command
    }
}

/// It ends with this code, and says this on standard error.
#[track_caller]
fn refused(output: &Output, code: i32, part: &str) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(code) && said.contains(part),
        "{}, not {code} and {part}: {said}",
        output.status
    );
    Ok(())
}

#[test]
fn the_ready_made_connectors_read_their_samples_as_they_were_recorded() -> Result<()> {
    let mut tried = 0;
    for entry in std::fs::read_dir(root().join("connectors"))? {
        let folder = entry?.path();
        if !folder.join("manifest.yaml").is_file() {
            continue;
        }
        let output = binary().args(["connector", "test"]).arg(&folder).output()?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{}: {told}{}", folder.display(), String::from_utf8_lossy(&output.stderr));
        ensure!(told.lines().count() == samples(&folder)?.len(), "{told}");
        tried += 1;
    }
    ensure!(tried == 8, "{tried} connectors have samples");
    Ok(())
}

fn samples(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder.join("samples"))?.collect::<std::io::Result<Vec<_>>>()?;
    Ok(entries.into_iter().map(|entry| entry.path()).collect())
}

#[test]
fn a_sample_that_is_read_otherwise_now_is_told_with_the_record() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let original = root().join("connectors/copernica-v3");
    std::fs::copy(original.join("manifest.yaml"), folder.path().join("manifest.yaml"))?;
    std::fs::create_dir(folder.path().join("samples"))?;
    let sample = samples(&original)?.pop().context("a sample")?;
    let mut sample: Value = serde_json::from_str(&std::fs::read_to_string(sample)?)?;
    let records = sample["records"]["profiles"].as_array_mut().context("profiles")?;
    records.first_mut().context("a profile")?["ID"] = "another".into();
    std::fs::write(folder.path().join("samples/odd.json"), sample.to_string())?;
    let output = binary().args(["connector", "test"]).arg(folder.path()).output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(
        told.contains("FAILED  odd") && told.contains("profiles, record 1: expected {\"ID\":\"another\""),
        "{told}"
    );
    refused(&output, 1, "1 of 1 samples are read differently now")
}

#[test]
fn wrong_input_is_told_with_what_is_wrong_about_it() -> Result<()> {
    let folder = Folder::make()?;
    refused(
        &binary().args(["connector", "spec", "nowhere"]).output()?,
        2,
        "give a folder with a manifest.yaml, or one of activecampaign",
    )?;
    refused(&folder.command("check").output()?, 2, "the configuration needs `url` (Address)")?;
    refused(&folder.command("check").args(["--config", "missing.json"]).output()?, 2, "missing.json cannot be read")?;
    refused(
        &folder.read(&["--stream", "people"]).output()?,
        1,
        "there is no stream people; there are items, some, none",
    )?;
    refused(&folder.command("test").output()?, 2, "holds no samples; record some with --record")?;
    let cases = [
        ("--config", "{\"url\": ", "is no JSON"),
        ("--config", "[]", "the configuration must be a JSON object"),
        ("--config", "{\"url\": 5}", "`url` should be of the type string"),
        ("--catalog", "{}", "has no list `streams`; give a configured catalog"),
        ("--catalog", "{\"streams\": [{\"stream\": {}}]}", "has a stream without a name"),
        ("--state", "[{\"type\": \"RECORD\"}]", "should hold a list of STATE messages"),
        ("--state", "{\"items\": \"2026\"}", "should hold a list of STATE messages"),
        ("--state", "5", "should hold a list of STATE messages"),
    ];
    for (flag, text, part) in cases {
        let file = folder.write("given.json", text)?.display().to_string();
        let config = if flag == "--config" { &file } else { "config.json" };
        let mut command = folder.command("read");
        command.args(["--config", config]);
        if flag != "--config" {
            command.args([flag, &file]);
        }
        refused(&command.output()?, 2, part).with_context(|| format!("{flag} {text}"))?;
    }
    folder.write(
        "catalog.json",
        "{\"streams\": [{\"stream\": {\"name\": \"people\"}, \"sync_mode\": \"incremental\"}]}",
    )?;
    refused(
        &folder.read(&["--catalog", "catalog.json"]).output()?,
        1,
        "there is no stream people; there are items, some, none",
    )
}

#[test]
fn a_configuration_may_come_from_standard_input() -> Result<()> {
    let folder = Folder::make()?;
    let mut child = folder
        .command("read")
        .args(["--config", "-", "--stream", "none", "--allow-private", "127.0.0.0/8"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .context("standard input")?
        .write_all(json!({"url": folder.platform.url}).to_string().as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn a_state_of_another_connector_is_told_of_and_those_not_read_are_kept() -> Result<()> {
    let folder = Folder::make()?;
    folder.write(
        "state.json",
        "{\"people\": {\"at\": \"2025-01-01T00:00:00Z\"}, \"items\": {\"at\": \"2025-02-01T00:00:00Z\"}}",
    )?;
    let output = folder.read(&["--stream", "none", "--state", "state.json", "--save-state", "state.json"]).output()?;
    refused(&output, 0, "people: there is a state of it, and no such stream; there are items, some, none")?;
    let saved: Value = serde_json::from_str(&std::fs::read_to_string(folder.path("state.json"))?)?;
    let states = saved.as_array().context("states")?;
    let names: Vec<_> = states.iter().filter_map(|state| state.pointer("/stream/stream_descriptor/name")).collect();
    ensure!(names == ["items", "none", "people"], "{saved}");
    Ok(())
}

#[test]
fn a_reader_that_has_enough_ends_the_reading_and_no_state_is_saved_of_what_was_not_written() -> Result<()> {
    let folder = Folder::make()?;
    let mut child =
        folder.read(&["--save-state", "state.json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().context("standard output")?;
    stdout.read_exact(&mut [0])?;
    drop(stdout);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Nor where all that was read was still waiting to be written.
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let output = folder.read(&["--stream", "some", "--save-state", "state.json"]).stdout(writer).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    ensure!(std::fs::read_to_string(folder.path("state.json"))?.trim() == "[]");
    let output = folder.read(&["--stream", "some", "--save-state", "state.json"]).output()?;
    ensure!(output.stdout.split(|byte| *byte == b'\n').count() == 3 && output.status.success());
    ensure!(std::fs::read_to_string(folder.path("state.json"))?.contains("2025-01-01T"));
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_failure() -> Result<()> {
    let folder = Folder::make()?;
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
    let output = folder.read(&["--save-state", "state.json"]).stdout(full).output()?;
    refused(&output, 1, "writing the records: No space left on device")
}

#[cfg(unix)]
#[test]
fn ctrl_c_writes_what_was_read_in_whole_lines() -> Result<()> {
    let folder = Folder::make()?;
    let mut child = folder.read(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdout = BufReader::new(child.stdout.take().context("standard output")?);
    let mut text = String::new();
    stdout.read_line(&mut text)?;
    let id = child.id().to_string();
    ensure!(Command::new("kill").args(["-INT", &id]).status()?.success());
    stdout.read_to_string(&mut text)?;
    ensure!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "a line is cut");
    refused(&child.wait_with_output()?, 1, "stopped before everything was read")
}
