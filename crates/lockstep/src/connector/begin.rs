//! `lockstep connector new`: a small connector to begin with, in a folder of its own.

use crate::command_line::NewArgs;
use crate::failure::Failure;
use crate::printer::say;
use lockstep_core::error::Code;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// Its files.
const FILES: [(&str, &str); 3] = [
    ("manifest.yaml", include_str!("template/manifest.yaml")),
    ("lockstep.yaml", include_str!("template/lockstep.yaml")),
    ("README.md", include_str!("template/README.md")),
];

/// What the README is headed by until the folder's name is known.
const TITLE: &str = "# NAME";

/// Writes them into a folder that is empty, or is made.
pub(crate) fn begin(args: &NewArgs) -> Result<(), Failure> {
    let folder = args.folder.as_path();
    let made = match std::fs::read_dir(folder).map(Iterator::count) {
        Ok(0) => Ok(()),
        Ok(_entries) => return Err(taken(folder, "is not empty")),
        Err(error) if error.kind() == ErrorKind::NotFound => std::fs::create_dir_all(folder),
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Err(taken(folder, "is no folder")),
        Err(error) => Err(error),
    };
    made.map_err(|error| unwritten(folder, error))?;
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
    for (file, text) in FILES {
        let path = folder.join(file);
        let text = text.replacen(TITLE, &format!("# {name}"), 1);
        // One that came meanwhile is somebody's.
        let opened = std::fs::File::create_new(&path);
        opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| unwritten(&path, error))?;
    }
    let folder = folder.display();
    say(&format!("{folder} holds a connector for contacts behind an API key. Make it your platform's:"));
    say("  manifest.yaml   how it is read");
    say("  lockstep.yaml   how it is written, searched and listened to");
    say(&format!("Then `lockstep connector check {folder} --config FILE`; docs/CONNECTORS.md explains both files."));
    Ok(())
}

fn taken(folder: &Path, why: &str) -> Failure {
    let text = format!("{} {why}; give a folder that is empty, or one that is to be made", folder.display());
    Failure::new(Code::SettingsInvalid, text)
}

fn unwritten(path: &Path, error: std::io::Error) -> Failure {
    Failure::Other(anyhow::Error::new(error).context(format!("writing {}", path.display())))
}
