//! Connectors read by the built binary: from the same manifests and the same awkward API as airbyte-cdk reads them, and
//! against the libraries that others check who calls with. `tests/airbyte` holds the API, the manifests, the other
//! runtime and the table of the differences that are meant.

use crate::hub::{BINARY, binary, root};
use crate::peers_tokens::Authority;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Seconds after which the API ends, should nobody end it.
const API_SECONDS: &str = "120";

/// Installs what is not there; two tests may ask at the same time, so the script holds a lock.
fn install() -> Result<PathBuf> {
    let installed = Command::new("bash").arg(root().join("tests/airbyte/install.sh")).output()?;
    ensure!(installed.status.success(), "install.sh: {}", String::from_utf8_lossy(&installed.stderr));
    Ok(root().join("target/peers/airbyte/bin/python"))
}

/// Runs a script of `tests/airbyte` that judges by itself.
fn judge(script: &str, arguments: &[&str]) -> Result<()> {
    let done = Command::new(install()?).arg(root().join("tests/airbyte").join(script)).args(arguments).output()?;
    let said = String::from_utf8_lossy(&done.stdout);
    ensure!(done.status.success(), "{script}:\n{said}{}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

/// The awkward API; it ends with its standard input.
struct Api {
    child: Child,
    told: Value,
}

impl Api {
    fn start() -> Result<Self> {
        let mut child = Command::new(install()?)
            .arg(root().join("tests/airbyte/api.py"))
            .arg(API_SECONDS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
        let told = serde_json::from_str(&line).with_context(|| format!("{line:?} is not what it tells first"))?;
        Ok(Self { child, told })
    }

    /// The configuration of a manifest here, for a client of the API.
    fn config(&self, name: &str, client: &str) -> Result<String> {
        let path = root().join("tests/airbyte/manifests").join(name).join("config.json");
        let base = format!("{}/{client}", self.told["base_url"].as_str().context("its address")?);
        let key = self.told["private_key"].to_string();
        let text = std::fs::read_to_string(path)?.replace("{base_url}", &base);
        Ok(text.replace("{private_key}", key.trim_matches('"')))
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Whether it was still there does not matter.
        let _gone = self.child.wait();
    }
}

/// How many records of each stream came, and what went wrong with which.
#[derive(Debug, Default)]
struct Found {
    records: BTreeMap<String, usize>,
    errors: BTreeMap<String, String>,
}

/// Reads these streams of a connector.
fn read(connector: &Path, config: &str, streams: &[&str]) -> Result<Found> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let entry = |name: &&str| json!({"stream": {"name": name}, "sync_mode": "full_refresh"});
    let catalog = json!({"streams": streams.iter().map(entry).collect::<Vec<_>>()});
    std::fs::write(path("config.json"), config)?;
    std::fs::write(path("catalog.json"), catalog.to_string())?;
    let done = binary()
        .args(["connector", "read", "--format", "airbyte", "--allow-private", "127.0.0.0/8"])
        .arg(connector)
        .arg("--config")
        .arg(path("config.json"))
        .arg("--catalog")
        .arg(path("catalog.json"))
        .output()?;
    let mut found = Found::default();
    for line in String::from_utf8_lossy(&done.stdout).lines() {
        let message: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        if let Some(stream) = message.pointer("/record/stream").and_then(Value::as_str) {
            *found.records.entry(stream.to_owned()).or_default() += 1;
        }
        if let Some(error) = message.pointer("/trace/error") {
            let stream = error.pointer("/stream_descriptor/name").and_then(Value::as_str).unwrap_or_default();
            found.errors.insert(stream.to_owned(), error["message"].to_string());
        }
    }
    ensure!(!found.records.is_empty(), "nothing came: {}", String::from_utf8_lossy(&done.stderr));
    Ok(found)
}

#[test]
fn both_runtimes_read_the_same_from_the_same_manifests() -> Result<()> {
    judge("compare.py", &[BINARY])
}

#[test]
fn manifests_of_the_comparison_use_every_component_and_field() -> Result<()> {
    judge("covered.py", &[])
}

#[test]
fn oauth_1_is_accepted_by_oauthlib_and_a_wrong_secret_is_not() -> Result<()> {
    let api = Api::start()?;
    let signed = ["sha1", "sha256", "rsa", "form"];
    let streams = [signed.as_slice(), &["wrong_secret"]].concat();
    let connector = root().join("tests/airbyte/manifests/extensions");
    let found = read(&connector, &api.config("extensions", "signed")?, &streams)?;
    // Three pages each: three requests, none with the nonce of another.
    ensure!(signed.iter().all(|stream| found.records.get(*stream) == Some(&21)), "{found:?}");
    ensure!(!found.records.contains_key("wrong_secret"), "{found:?}");
    let refused = found.errors.get("wrong_secret").is_some_and(|text| text.contains("oauthlib refuses the signature"));
    ensure!(refused && found.errors.len() == 1, "{found:?}");
    Ok(())
}

#[test]
fn json_web_tokens_are_accepted_by_the_library_of_authlib() -> Result<()> {
    let api = Api::start()?;
    let streams = ["jwt_shared", "jwt_in_a_header", "jwt_private", "jwt_of_a_coded_secret", "oauth_assertion"];
    let connector = root().join("tests/airbyte/manifests/auth");
    let found = read(&connector, &api.config("auth", "tokens")?, &streams)?;
    ensure!(streams.iter().all(|stream| found.records.get(*stream) == Some(&3)), "{found:?}");
    ensure!(found.errors.is_empty(), "{found:?}");
    let wrong = api.config("auth", "other")?.replace("a shared secret", "another secret");
    let found = read(&connector, &wrong, &["jwt_shared", "jwt_private"])?;
    ensure!(found.errors.contains_key("jwt_shared") && found.records.contains_key("jwt_private"), "{found:?}");
    Ok(())
}

/// A stream behind a token, and one behind a token of a wrong secret.
const BEHIND_TOKENS: &str = r##"
version: 7.0.0
check: {type: CheckStream, stream_names: [people]}
definitions:
  people:
    type: DeclarativeStream
    name: people
    schema_loader: {type: InlineSchemaLoader, schema: {type: object}}
    retriever:
      requester:
        type: HttpRequester
        url_base: "{{ config['base_url'] }}"
        path: /people
        authenticator:
          type: OAuthAuthenticator
          grant_type: client_credentials
          token_refresh_endpoint: "{{ config['base_url'] }}/token"
          client_id: hub
          client_secret: s3cret-of-the-hub
          refresh_request_body: {scope: deliver}
      record_selector: {extractor: {field_path: []}}
streams:
  - {$ref: "#/definitions/people"}
  - $ref: "#/definitions/people"
    name: strangers
    retriever:
      $ref: "#/definitions/people/retriever"
      requester:
        $ref: "#/definitions/people/retriever/requester"
        authenticator: {$ref: "#/definitions/people/retriever/requester/authenticator", client_secret: wrong}
"##;

#[test]
fn tokens_of_an_authlib_server_let_a_connector_in() -> Result<()> {
    let authority = Authority::start()?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("manifest.yaml"), BEHIND_TOKENS)?;
    let config = json!({"base_url": format!("http://{}", authority.address)}).to_string();
    let found = read(folder.path(), &config, &["people", "strangers"])?;
    ensure!(found.records == BTreeMap::from([("people".to_owned(), 2)]), "{found:?}");
    ensure!(found.errors.keys().eq(["strangers"]), "{found:?}");
    Ok(())
}
