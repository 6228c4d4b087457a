//! `lockstep connector new` over the real binary: what it writes works as it is, and nothing of anybody's is written
//! over.

use crate::hub::binary;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

/// Serves what the new connector expects: two pages of contacts to whoever has the key. Gives its URL.
fn platform() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let asked = lines.next().unwrap_or_default();
            let knows = lines.take_while(|line| !line.is_empty()).any(|line| line.ends_with("Bearer the-key"));
            let contact =
                |id: u32| json!({"id": id, "email": format!("{id}@a.test"), "updated_at": "2026-01-01T00:00:00Z"});
            let (status, body) = match knows && asked.starts_with("GET /contacts?") {
                false => ("401 Unauthorized", json!({"message": "who are you"})),
                true if asked.contains("cursor=two") => ("200 OK", json!({"data": [contact(3)]})),
                true => ("200 OK", json!({"data": [contact(1), contact(2)], "next": "two"})),
            };
            let body = body.to_string();
            let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            // Whoever asked may have gone.
            let _gone = (&stream).write_all(format!("{head}{body}").as_bytes());
        }
    });
    Ok(url)
}

fn connector(verb: &str, folder: &Path) -> Command {
    let mut command = binary();
    command.args(["connector", verb]).arg(folder);
    command
}

/// It went well; gives what was printed.
fn done(output: &Output) -> Result<String> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// It was refused as something said wrongly, and with these words.
fn refused(output: &Output, words: &str) -> Result<()> {
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(2) && told.contains(words), "{}: {told}", output.status);
    Ok(())
}

#[test]
fn a_new_connector_is_checked_read_recorded_and_tested_as_it_is() -> Result<()> {
    let within = tempfile::tempdir()?;
    let folder = within.path().join("deep/my-crm");
    let told = done(&connector("new", &folder).output()?)?;
    ensure!(told.contains("docs/CONNECTORS.md") && told.contains("connector check"), "{told}");
    ensure!(std::fs::read_to_string(folder.join("README.md"))?.starts_with("# my-crm\n"));
    ensure!(std::fs::read_dir(&folder)?.count() == 3, "manifest.yaml, lockstep.yaml, README.md");
    done(&connector("spec", &folder).output()?)?;
    refused(&connector("check", &folder).output()?, "the configuration needs `base_url` (Base URL)")?;

    let config = within.path().join("config.json");
    std::fs::write(&config, json!({"base_url": platform()?, "api_key": "the-key"}).to_string())?;
    let online = |verb: &str| {
        let mut command = connector(verb, &folder);
        command.arg("--config").arg(&config).args(["--allow-private", "127.0.0.0/8"]);
        command
    };
    done(&online("check").output()?)?;
    let read = done(&online("read").output()?)?;
    let ids: Vec<Value> =
        read.lines().map(|line| Ok(serde_json::from_str::<Value>(line)?["id"].clone())).collect::<Result<_>>()?;
    ensure!(ids == [1, 2, 3], "{read}");
    refused(&connector("test", &folder).output()?, "holds no samples; record some with --record")?;
    done(&online("test").args(["--record", "--name", "small"]).output()?)?;
    let sample = std::fs::read_to_string(folder.join("samples/small.json"))?;
    ensure!(!sample.contains("the-key"), "{sample}");
    ensure!(done(&connector("test", &folder).output()?)? == "ok      small\n");
    Ok(())
}

#[test]
fn a_folder_that_holds_anything_is_left_as_it_is() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("mine.txt");
    std::fs::write(&file, "mine")?;
    refused(&connector("new", folder.path()).output()?, "is not empty; give a folder that is empty")?;
    ensure!(std::fs::read_dir(folder.path())?.count() == 1);
    refused(&connector("new", &file).output()?, "is no folder; give a folder that is empty")?;
    ensure!(std::fs::read_to_string(&file)? == "mine");
    // An empty one that is there already is taken.
    std::fs::remove_file(&file)?;
    done(&connector("new", folder.path()).output()?)?;
    refused(&connector("new", folder.path()).output()?, "is not empty")
}
